package app

import "tidegate/routing/replay/page"

// writePage writes a replay as a page with plots. The file appears whole or not at all.
func (v *replayedView) writePage(path string) error {
	out, err := createOutput(path)
	if err != nil {
		return err
	}
	made := page.Page{
		Report: v.Report, Log: v.From, Assumed: v.Assumed, Frontier: v.Frontier, Version: programVersion(),
		Label: labelOf, Figure: metricText, Change: changeText,
	}
	if err := out.finish(made.Write(out.file)); err != nil {
		return cannotWrite(path, err)
	}
	return nil
}
