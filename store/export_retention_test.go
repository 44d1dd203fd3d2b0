package store

// The statements of removal whose plans are tested.
const (
	RemoveOfBatch = removeOfBatch
	RemoveSingles = removeSingles
	LockOld       = lockOld
	OpenOfDay     = openOfDay
)
