package worker

import _ "tidegate/routing"
