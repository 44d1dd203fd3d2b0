package store

// The statements whose plans are tested.
const (
	ReadTurns  = readTurns
	ReadNear   = readNear
	ReadCounts = backlogs
	ByIndex    = byIndex
	AdmitThese = admit
	AdmitAny   = admitAll
	ParkThese  = park
	CancelOne  = cancelRequest
	EndGiven   = endGivenBack
	EndWaits   = endWaiting
	CancelSome = cancelSomeOfBatch
)

// What bounds them.
const (
	TenantsMost = tenantsMost
	TurnsLeast  = turnsLeast
	BacklogMost = backlogMost
)
