package jobs

import _ "github.com/google/uuid"
