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
	t.Parallel()
	promtool(t, monitoring, "", "check", "config", "prometheus.yaml")
	promtool(t, monitoring, "", "check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")
	promtool(t, monitoring, "", "test", "rules", "alerts_test.yaml")
}

// monitored returns what /metrics says of a job that has succeeded, failed and run.
func monitored(t *testing.T) string {
	t.Helper()
	a, address := newAPI(t, newStore(t)), freeAddress(t)
	for status := range 2 {
		if got := outcomeOf(t, recorded(t, a, fmt.Sprint("exit ", status))); got.status != status {
			t.Fatalf("%+v", got)
		}
	}
	unfinished(t, a)
	s := serve(t, a.store, "--admin-addr", address)
	ask(t, s, "", "/v1/projects", http.StatusUnauthorized) // so that there are metrics of requests
	_, metrics := read(t, "http://"+address+"/metrics")
	return metrics
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

// TestExpressionsNameMetricsThatExist takes the expressions of the alerts and of the dashboard.
func TestExpressionsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	metrics := monitored(t)
	promtool(t, "", metrics, "check", "metrics")
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
