package jobs

type class struct{}

func (class) init() {}

func init() {}
