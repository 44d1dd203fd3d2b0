// Package dashboard is the operators' page: what is down and since when, what waits, what
// it costs, and when it will be done. Everything is in the program; nothing is loaded from
// elsewhere, and no word of a prompt is on it.
//
//	browser ── login ──> session ──> page ── live (server-sent events) ──┐
//	                                   │                                 │ sections that have changed
//	                                   └── forms ──> who steers          │
//	                                                                     │
//	      one reader for all who look, and for nobody when nobody does ──┘
//
// What stands on the page is read and put together by the caller (Config.Read); here it is
// put into words, shapes and pictures.
package dashboard
