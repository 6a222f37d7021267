package server_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

func TestTeamsAndProjects(t *testing.T) {
	tests := []struct {
		name            string
		teams, projects []string
		plain, named    int // the statuses without a team in the path, and with the run's
		details         model.ErrorDetails
	}{
		{
			name:  "the team",
			teams: []string{"team"},
			plain: 200, named: 200,
		},
		{
			name:  "several teams",
			teams: []string{"other", "team"},
			plain: 400, named: 200,
			details: model.ErrorDetails{Parameter: "teamId", Rule: "required"},
		},
		{
			name:  "another team",
			teams: []string{"other"},
			plain: 404, named: 403,
			details: model.ErrorDetails{Permission: readPermission},
		},
		{
			name:  "a team in another case",
			teams: []string{"Team"},
			plain: 404, named: 403,
			details: model.ErrorDetails{Permission: readPermission},
		},
		{
			name:  "several teams, not this one",
			teams: []string{"other", "another"},
			plain: 400, named: 403,
		},
		{
			name:  "the project",
			teams: []string{"team"}, projects: []string{"default-project"},
			plain: 200, named: 200,
		},
		{
			name:  "several projects",
			teams: []string{"team"}, projects: []string{"other", "default-project"},
			plain: 200, named: 200,
		},
		{
			name:  "another project",
			teams: []string{"team"}, projects: []string{"other"},
			plain: 403, named: 403,
			details: model.ErrorDetails{Permission: readPermission},
		},
		{
			name:  "several teams, another project",
			teams: []string{"team", "other"}, projects: []string{"other"},
			plain: 400, named: 403,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, _ := newFilledAPI(t)
			token := allowed()
			token.Teams, token.Projects = test.teams, test.projects
			secret := a.token(token)

			plain := a.get(runPath(t, exampleKey), secret)
			a.want(plain, test.plain)
			named := a.get(teamRunPath(t, exampleKey), secret)
			a.want(named, test.named)
			a.want(a.get("/v1/login", secret), 200)

			if test.details == (model.ErrorDetails{}) {
				return
			}
			var details []model.ErrorDetails
			for _, got := range []answer{plain, named} {
				if got.status == 400 || got.status == 403 {
					details = append(details, got.err.Details)
				}
			}
			for _, got := range details {
				if diff := cmp.Diff(test.details, got); diff != "" {
					t.Errorf("details (-want +got):\n%s", diff)
				}
			}
			if len(details) == 0 {
				t.Error("neither response has details")
			}
		})
	}
}

// Without a team in the path, the run is that of the token's team, also when another team has one
// of the same name.
func TestSameNamesInTwoTeams(t *testing.T) {
	a := newAPI(t)
	for _, team := range []string{"blue", "green"} {
		run := exampleRun(t)
		run.RunName = team
		a.store.runs[keyWith(exampleKey, "teamId", team)] = run
	}
	token := allowed()
	token.Teams = []string{"green"}
	got := a.get(runPath(t, exampleKey), a.token(token))
	a.want(got, 200)
	if !strings.Contains(string(got.body), `"runName":"green"`) {
		t.Errorf("the run is another team's: %s", got.body)
	}
}

// What a token may not see looks the same whether it exists or not.
func TestAnswerRevealsNothing(t *testing.T) {
	tests := []struct {
		name   string
		path   func(testing.TB, jobrun.Key) string
		change func(*jobrun.Token)
		want   int
	}{
		{"no permission", runPath, func(t *jobrun.Token) { t.Permissions = nil }, 403},
		{"another team", teamRunPath, func(t *jobrun.Token) { t.Teams = []string{"other"} }, 403},
		{"another project", runPath, func(t *jobrun.Token) { t.Projects = []string{"other"} }, 403},
		{"the token's other team", runPath, func(t *jobrun.Token) { t.Teams = []string{"other"} }, 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			token := allowed()
			test.change(&token)
			secret := a.token(token)
			path := test.path(t, exampleKey)
			missing := a.get(path, secret)
			a.want(missing, test.want)
			a.store.runs[exampleKey] = exampleRun(t)
			existing := a.get(path, secret)
			a.want(existing, test.want)
			existing.err.ID = missing.err.ID
			if diff := cmp.Diff(missing.err, existing.err); diff != "" {
				t.Errorf("the response depends on the run (-missing +existing):\n%s", diff)
			}
		})
	}
}

// A run that does not exist, and one of a job, a project or a team that does not, are answered
// alike.
func TestNotFoundIsAlwaysTheSame(t *testing.T) {
	a, _ := newFilledAPI(t)
	token := allowed()
	token.Teams = []string{"missing", exampleKey.Team}
	secret := a.token(token)
	o := operationOf(t, "getTeamJobRun")
	for _, parameter := range o.parameters {
		got := a.ask(o, map[string]string{parameter: "missing"}, secret)
		a.want(got, 404)
		want := model.Error{Status: 404, Message: "not found", ID: got.err.ID}
		if diff := cmp.Diff(want, got.err); diff != "" {
			t.Errorf("%s (-want +got):\n%s", parameter, diff)
		}
	}
}
