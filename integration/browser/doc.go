// Package browser looks at the page as people do: a real Chromium drives it through an
// outage, against the built program and simulated providers.
//
//	make check-page
//
// Its tests have the build tag browser, and need Chromium: on the PATH, or where
// TIDEGATE_CHROMIUM says. What is checked of the page beside what it shows is in audit.js:
// names, labels, landmarks, contrast, sizes, and that nothing is too wide.
package browser
