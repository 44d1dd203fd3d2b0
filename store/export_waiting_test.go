package store

// The statements whose plans are tested.
const (
	ReadTurns  = readTurns
	ReadNear   = readNear
	ReadCounts = backlogs
)

// What bounds them.
const (
	TenantsMost = tenantsMost
	TurnsLeast  = turnsLeast
	BacklogMost = backlogMost
)
