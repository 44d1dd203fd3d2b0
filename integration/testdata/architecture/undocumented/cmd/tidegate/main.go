// Command tidegate is documented as programs are.
package main
