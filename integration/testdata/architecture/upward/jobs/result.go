package jobs

import _ "tidegate/store"
