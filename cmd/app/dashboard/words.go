package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// number is a whole number with a comma after each three digits.
func number(n int) string {
	text := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, text = "−", text[1:]
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return sign + text
}

// rate is a number of things a minute, with as many digits as tell something.
func rate(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return number(int(x + 0.5))
	}
}

// money is an amount in USD, with cents, or as many digits as it takes to see it.
func money(m jobs.MicroUSD) string {
	dollars := float64(m) / 1e6
	switch {
	case m == 0:
		return "$0"
	case dollars < 0.01:
		return fmt.Sprintf("$%.4f", dollars)
	case dollars < 1000:
		return fmt.Sprintf("$%.2f", dollars)
	default:
		return "$" + number(int(dollars+0.5))
	}
}

// clock is a time for who has no scripts, with its day where that is not today.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04 UTC")
	}
	return t.Format("Jan 2, 15:04 UTC")
}

// span is a time as a person says it: the two largest units that count.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return units(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return units(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func units(large int, of string, small int, rest string) string {
	if small == 0 {
		return fmt.Sprintf("%d %s", large, of)
	}
	return fmt.Sprintf("%d %s %d %s", large, of, small, rest)
}

// listed names things in a sentence, at most three of them.
func listed(names []string) string {
	const most = 3
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// many is a number with its noun.
func many(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// percent is a share with one digit where that tells something.
func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	share := 100 * float64(part) / float64(whole)
	if part == whole || part == 0 || share >= 99.95 && part == whole {
		return fmt.Sprintf("%.0f%%", share)
	}
	return fmt.Sprintf("%.1f%%", min(max(share, 0.1), 99.9))
}
