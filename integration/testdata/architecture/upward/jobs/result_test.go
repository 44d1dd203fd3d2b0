package jobs_test

import _ "tidegate/store"
