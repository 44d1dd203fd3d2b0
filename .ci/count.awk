# Reads `go test -v`, whose last line here is "exit N", and passes every line on.
# It closes with what did not pass, with the first words of each of those tests,
# and one line of counts, and exits non-zero when the run did, when a test was
# skipped, and when no test ran.

/^exit [0-9]+$/ { status = $2; next }

{ print; fflush() }

/^=== / { said = "" }
/^ +[a-z0-9_]+\.go:[0-9]+: / && said == "" { said = substr($0, 1, 300) }

/^ *--- PASS: / { passed++ }
/^ *--- FAIL: / {
	failed++; here++
	pending[++waiting] = "failed:  " $3
	if (said != "") why[waiting] = said
	said = ""
}
/^ *--- SKIP: / { skipped++; pending[++waiting] = "skipped: " $3 }

# A package that does not compile, panics or runs out of time has no test of
# its own that failed.
/^FAIL\t/ && !here { failed++; pending[++waiting] = "failed:  the package" }

# The line that ends a package says which one it was.
/^(ok  |FAIL)\t/ {
	for (i = 1; i <= waiting; i++) bad[++count] = pending[i] "  (" $2 ")" (why[i] == "" ? "" : "\n" why[i])
	delete why
	waiting = here = 0
}

END {
	for (i = 1; i <= waiting; i++) bad[++count] = pending[i] (why[i] == "" ? "" : "\n" why[i])
	if (status != 0 && !failed) failed = 1
	if (count) print ""
	for (i = 1; i <= count; i++) print bad[i]
	if (skipped) print "A skipped test proves nothing: make it run, or take it out."
	if (!passed && !failed && !skipped) print "No test ran."
	printf "\ntests: %d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit (status != 0 || skipped || !passed)
}
