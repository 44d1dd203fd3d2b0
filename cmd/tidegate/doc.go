// Command tidegate answers batches of LLM prompts in the background, once
// each, while providers throttle, slow down and die. What it can do is in
// package app; here is only the exit code.
package main
