// Package tidegate stands in the street.
package tidegate
