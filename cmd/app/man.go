package app

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manSection is the part of the manual for programs.
const manSection = "1"

func newManCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write a manual page for each command",
		Long: `man writes into DIR what --help says, as pages for the program man: tidegate.1,
tidegate-enqueue.1, and so on, and one for each topic. Pages that are there are
written anew.`,
		Example: `  tidegate man ./man1 && man ./man1/tidegate-enqueue.1
  sudo tidegate man /usr/local/share/man/man1`,
		Args: arguments(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.man(cmd, args[0]) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
}

func (o *options) man(cmd *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // everybody reads the manual
		return fmt.Errorf("writing the manual: %w", err)
	}
	files := []string{}
	for _, command := range withChildren(cmd.Root()) {
		if command.Hidden {
			continue
		}
		page := filepath.Join(dir, manName(command)+"."+manSection)
		if err := os.WriteFile(page, []byte(manPage(command)), 0o644); err != nil { //nolint:gosec // likewise
			return fmt.Errorf("writing the manual: %w", err)
		}
		files = append(files, page)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{"files": files})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s into %s.\n", counted(len(files), "page"), dir)
	return err
}

// manName is a page's name, as tidegate-budgets-set.
func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage is the page of a command, in the language of man(7).
func manPage(c *cobra.Command) string {
	var b strings.Builder
	name := manName(c)
	fmt.Fprintf(&b, ".TH %s %s \"\" %s \"tidegate\"\n.nh\n.ad l\n", manText(strings.ToUpper(name)), manSection, manText(`"tidegate `+programVersion()+`"`))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", manText(name), manText(c.Short))
	if c.Runnable() {
		fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fR\n", manText(c.UseLine()))
	}
	manSays(&b, "DESCRIPTION", cmp.Or(c.Long, c.Short))
	manFlags(&b, "OPTIONS", c.NonInheritedFlags())
	manFlags(&b, "OPTIONS OF ALL COMMANDS", c.InheritedFlags())
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n")
		manLiteral(&b, strings.Split(c.Example, "\n"))
	}
	manRelated(&b, c)
	return b.String()
}

// manSays writes a text of ours: paragraphs, and lines that are set in, which stay as
// they are.
func manSays(w io.Writer, heading, text string) {
	fmt.Fprintf(w, ".SH %s\n", heading)
	var literal []string
	flush := func() {
		if len(literal) > 0 {
			manLiteral(w, literal)
		}
		literal = nil
	}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "  "), strings.HasPrefix(line, "\t"):
			literal = append(literal, line)
			continue
		case line == "":
			flush()
			fmt.Fprintln(w, ".PP")
			continue
		}
		flush()
		fmt.Fprintln(w, manText(line))
	}
	flush()
}

// manLiteral writes lines as they are, set in.
func manLiteral(w io.Writer, lines []string) {
	fmt.Fprint(w, ".nf\n.RS 2\n")
	for _, line := range lines {
		fmt.Fprintln(w, manText(strings.TrimPrefix(strings.TrimPrefix(line, "  "), "\t")))
	}
	fmt.Fprint(w, ".RE\n.fi\n")
}

func manFlags(w io.Writer, heading string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(w, ".SH %s\n", heading)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		takes, usage := pflag.UnquoteUsage(f)
		fmt.Fprint(w, ".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(w, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(w, "\\fB%s\\fR", manText("--"+f.Name))
		if takes != "" {
			fmt.Fprintf(w, " \\fI%s\\fR", manText(takes))
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && !strings.Contains(usage, "(default") {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "\n%s\n", manText(usage))
	})
}

// manRelated leads to the command above, to those below, and to the topics.
func manRelated(w io.Writer, c *cobra.Command) {
	var names []string
	if c.HasParent() {
		names = append(names, manName(c.Parent()))
	}
	for _, child := range c.Commands() {
		if !child.Hidden {
			names = append(names, manName(child))
		}
	}
	for _, topic := range newTopics() {
		if name := manName(c.Root()) + "-" + topic.Name(); c.HasParent() && name != manName(c) {
			names = append(names, name)
		}
	}
	fmt.Fprint(w, ".SH SEE ALSO\n")
	for i, name := range names {
		end := ","
		if i == len(names)-1 {
			end = ""
		}
		fmt.Fprintf(w, ".BR %s (%s)%s\n", manText(name), manSection, end)
	}
}

// manText is a line that is no command of man(7), with hyphens that can be typed.
func manText(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}
