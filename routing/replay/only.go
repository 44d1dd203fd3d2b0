package replay

// Only is a log of the requests of one route, with their calls and with the probes. What
// was wrong with the records stays said.
func (l *Log) Only(route string) (*Log, error) {
	b := NewBuilder(0)
	to := make([]uint32, l.Requests())
	n := uint32(0)
	for i := range to {
		to[i] = noRequest
		if l.names.kinds[l.requests.kind[i]].route != route {
			continue
		}
		if err := b.Add(l.Request(i)); err != nil {
			return nil, err
		}
		to[i] = n
		n++
	}
	for i := range l.Attempts() {
		call, request := l.Attempt(i)
		var err error
		switch {
		case request < 0:
			err = b.AddProbe(call)
		case to[request] != noRequest:
			err = b.AddCall(int(to[request]), call)
		}
		if err != nil {
			return nil, err
		}
	}
	made, err := b.Log()
	if err == nil {
		made.warnings = append(made.warnings, l.warnings...)
	}
	return made, err
}
