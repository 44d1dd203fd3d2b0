package dashboard

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"

	"github.com/go-analyze/charts"
)

// The library writes colors; the page has them in its style sheet, for the light and for
// the dark. So each part is drawn in a color that nobody sees, and which says what it is.
var (
	markText  = charts.Color{R: 1, A: 255}
	markAxis  = charts.Color{R: 2, A: 255}
	markSplit = charts.Color{R: 3, A: 255}
)

// markLine is the color that stands for the nth line.
func markLine(n int) charts.Color { return charts.Color{R: 4, G: uint8(n), A: 255} }

// marked is a theme of such colors.
func marked(lines int) charts.ColorPalette {
	o := charts.ThemeOption{
		BackgroundColor: charts.ColorTransparent, TextColor: markText, AxisStrokeColor: markAxis, AxisSplitLineColor: markSplit,
	}
	for n := range lines {
		o.SeriesColors = append(o.SeriesColors, markLine(n+1))
	}
	return charts.MakeTheme(o)
}

var (
	styles = regexp.MustCompile(` style="([^"]*)"`)
	colors = regexp.MustCompile(`^rgba?\((\d+),(\d+),(\d+)`)
	sizes  = regexp.MustCompile(`^<svg [^>]*>`)
)

// restyled is a picture whose parts have classes in place of styles, which the page's
// policy forbids, and which is as wide as its place.
func restyled(svg []byte) template.HTML {
	text := styles.ReplaceAllStringFunc(string(svg), func(found string) string {
		return attributes(styles.FindStringSubmatch(found)[1])
	})
	head := fmt.Sprintf(`<svg viewBox="0 0 %d %d" class="plot" aria-hidden="true" focusable="false">`, chartWidth, chartHeight)
	return template.HTML(sizes.ReplaceAllString(text, head)) // #nosec G203 -- the library escapes what it writes, and no name is in it
}

// attributes are a style as a class and attributes.
func attributes(style string) string {
	var classes []string
	other := ""
	for part := range strings.SplitSeq(style, ";") {
		name, value, _ := strings.Cut(part, ":")
		switch name {
		case "stroke", "fill":
			classes = append(classes, name[:1]+"-"+meaning(value))
		case "stroke-width", "font-size":
			other += fmt.Sprintf(` %s="%s"`, name, value)
		}
	}
	return fmt.Sprintf(` class="%s"`, strings.Join(classes, " ")) + other
}

// meaning is what a color stands for.
func meaning(color string) string {
	rgb := colors.FindStringSubmatch(color)
	switch {
	case rgb == nil:
		return "none"
	case rgb[1] == "1":
		return "text"
	case rgb[1] == "2":
		return "axis"
	case rgb[1] == "3":
		return "split"
	case rgb[1] == "4":
		return rgb[2]
	default:
		return "none"
	}
}
