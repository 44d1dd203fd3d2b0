package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
)

func newDoctorCommand(o *options) *cobra.Command {
	var call bool
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupRun,
		Short:   "Check everything that can be wrong with a set-up, and say the remedy",
		Long: `doctor looks at the configuration, Postgres and its queues, NATS, every target,
and what dev needs of this machine, and says of each what is wrong and what to
do. It changes nothing and costs nothing, unless --call lets it ask each target
to say ok.
What cannot be looked at, because something before it is wrong, is listed as
skipped. The exit code is 1 if something is wrong; warnings do not count.`,
		Example: `  tidegate doctor
  tidegate doctor --config tidegate.yaml --call`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.doctor(cmd, call) },
	}
	cmd.Flags().BoolVar(&call, "call", false, "make one small call to each target; real providers bill it")
	return cmd
}

// A finding is what a check found.
type finding struct {
	About  string `json:"about"`
	Level  string `json:"level"` // ok, warning, wrong or skipped
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelWrong   = "wrong"
	levelSkipped = "skipped" // it could not be looked at; found says why
)

// checkTimeout bounds each thing that doctor asks over a network.
const checkTimeout = 5 * time.Second

// An examination collects findings.
type examination struct {
	options  *options
	config   *config.Config // nil: it cannot be read
	where    endpoints
	findings []finding
}

func (e *examination) ok(about, format string, args ...any) {
	e.findings = append(e.findings, finding{about, levelOK, fmt.Sprintf(format, args...), ""})
}

func (e *examination) warn(about, remedy, format string, args ...any) {
	e.findings = append(e.findings, finding{about, levelWarning, fmt.Sprintf(format, args...), remedy})
}

func (e *examination) wrong(about, remedy, format string, args ...any) {
	e.findings = append(e.findings, finding{about, levelWrong, fmt.Sprintf(format, args...), remedy})
}

func (e *examination) skip(about, why string) {
	e.findings = append(e.findings, finding{about, levelSkipped, "not checked: " + why, ""})
}

func (o *options) doctor(cmd *cobra.Command, call bool) error {
	e := &examination{options: o}
	for _, check := range []func(context.Context){e.checkConfig, e.checkPostgres, e.checkNATS, e.checkTargets(call), e.checkListen, e.checkMachine} {
		check(cmd.Context())
		if err := cmd.Context().Err(); err != nil { // what was found last may be only that
			return err
		}
	}
	if o.json {
		if err := printJSON(cmd.OutOrStdout(), map[string]any{"findings": e.findings}); err != nil {
			return err
		}
	} else {
		e.write(cmd.OutOrStdout())
	}
	wrong := 0
	for _, f := range e.findings {
		if f.Level == levelWrong {
			wrong++
		}
	}
	if wrong > 0 {
		return &quietError{fmt.Errorf("%d things are wrong", wrong)}
	}
	return nil
}

func (e *examination) write(w io.Writer) {
	marks := map[string]string{levelOK: "ok     ", levelWarning: "warning", levelWrong: "WRONG  ", levelSkipped: "skipped"}
	for _, f := range e.findings {
		fmt.Fprintf(w, "%s  %-14s %s\n", marks[f.Level], f.About, visible(f.Found))
		if f.Remedy != "" {
			fmt.Fprintf(w, "%s  %-14s → %s\n", "       ", "", f.Remedy)
		}
	}
}
