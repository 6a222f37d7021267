//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// monitoring is the folder of the alert rules and the dashboard.
const monitoring = "../server/record/kubernetes/deploy/monitoring/"

// promtool runs Prometheus's own tool in a folder with the text on standard input, and fails the
// test if it fails.
func promtool(t *testing.T, folder, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = folder, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out) // it is in Debian's package prometheus
	}
}

func TestAlertRules(t *testing.T) {
	promtool(t, monitoring, "", "check", "config", "prometheus.yaml")
	promtool(t, monitoring, "", "check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")
	promtool(t, monitoring, "", "test", "rules", "alerts_test.yaml")
}

// monitored has one job of each kind in a store: one that succeeded, one that failed, one that runs,
// and one whose recorder has been killed. It returns the address of /metrics of a server, and what
// that says.
func monitored(t *testing.T) (address, metrics string) {
	t.Helper()
	store := newStore(t)
	record := func(job, command string) *exec.Cmd {
		return program(t, "jobrun", "--store", store, "--project", "p", "--job", job, "--", command)
	}
	for _, command := range []string{"true", "false"} {
		exitStatus(t, record(command, command).Run())
	}
	start := func(job string) *exec.Cmd {
		cmd := record(job, "cat")
		_, _, stderr := pipes(t, cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // or it has ended
			_ = cmd.Wait()
		})
		runID(t, readLine(t, stderr)) // it is stored
		return cmd
	}
	start("running")
	if err := start("lost").Process.Kill(); err != nil {
		t.Fatal(err)
	}
	address = freeAddress(t)
	s := serve(t, store, "--admin-addr", address)
	ask(t, s, "", "/v1/projects", http.StatusUnauthorized) // so that there are metrics of requests
	until(t, func() bool {                                 // the kernel may take a moment to end a process
		_, metrics = read(t, "http://"+address+"/metrics")
		return strings.Contains(metrics, `jobruns_job_last_run_recorder_lost{job="lost",project="p",team="default"} 1`)
	})
	return address, metrics
}

func TestMonitoring(t *testing.T) {
	address, metrics := monitored(t)
	t.Run("MetricsOfJobs", func(t *testing.T) { testMetricsOfJobs(t, metrics) })
	t.Run("Names", func(t *testing.T) { testNamesInExpressions(t, metrics) })
	t.Run("AlertsFire", func(t *testing.T) { testAlertsFire(t, address) })
}

// alertRules are what the tests want to know of a file of rules.
type alertRules struct {
	Groups []struct {
		Rules []struct{ Alert, Expr string }
	}
}

// alerts returns the expressions of the alert rules, by the name of the alert.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(monitoring + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	expressions := map[string]string{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			expressions[rule.Alert] = rule.Expr
		}
	}
	return expressions
}

// panels returns the expressions of the dashboard by the title of their panel, as Prometheus gets
// them, after it has checked the dashboard against Grafana's schema.
func panels(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(monitoring + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	plugins.RegisterDefaultPlugins()
	//nolint:staticcheck // older versions of Grafana do not import the form that follows this one
	var strict, board dashboard.Dashboard
	// This checks all fields, and reads only some; its error may be an empty list of them.
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		t.Error(err)
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if err := board.Validate(); err != nil {
		t.Error(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$team", ".*", "$project", ".*", "$job", ".*")
	expressions := map[string]string{}
	for _, p := range board.Panels {
		if p.Panel == nil || p.Panel.Title == nil {
			t.Fatal("a panel without a title")
		}
		for i, target := range p.Panel.Targets {
			query, ok := target.(*prometheus.Dataquery)
			if !ok {
				t.Fatalf("%s: a query of the type %T", *p.Panel.Title, target)
			}
			expressions[fmt.Sprint(*p.Panel.Title, " ", i)] = variables.Replace(query.Expr)
		}
	}
	return expressions
}

var (
	sampleName     = regexp.MustCompile(`(?m)^(jobruns_\w+)`)
	expressionName = regexp.MustCompile(`jobruns_\w+`)
)

// testNamesInExpressions checks that every expression is one, and has a metric that exists.
func testNamesInExpressions(t *testing.T, metrics string) {
	there := sampleName.FindAllString(metrics, -1)
	expressions := alerts(t)
	maps.Copy(expressions, panels(t))
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	for where, expression := range expressions {
		rules = append(rules, rule{fmt.Sprint("expression_", len(rules)), expression})
		names := expressionName.FindAllString(expression, -1)
		if len(names) == 0 {
			t.Errorf("%s: %s has no metric of ours", where, expression)
		}
		for _, name := range names {
			if !slices.Contains(there, name) {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
	}
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "expressions", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "rules.yaml"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, folder, "", "check", "rules", "rules.yaml")
}
