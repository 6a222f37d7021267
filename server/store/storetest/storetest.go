// Package storetest tests what a store does with any engine, and helps an engine's own tests.
package storetest

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"github.com/jobruns/jobruns/server/store"
)

// Exercise runs all tests with an engine, each in a new database: newURL returns the URL of one
// that does not exist yet, or is empty. It returns when all tests are over.
func Exercise(t *testing.T, engine store.Engine, newURL func(*testing.T) string) {
	t.Run("Behaviour", func(t *testing.T) {
		for name, test := range behaviour {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // each has a database of its own
				test(t, subject{engine: engine, newURL: newURL})
			})
		}
	})
}

// behaviour is what a store does with any engine.
var behaviour = map[string]func(*testing.T, subject){
	"RunComesBackAsStored":                      testRunComesBackAsStored,
	"RunIsFoundByItsWholeKeyOnly":               testRunIsFoundByItsWholeKeyOnly,
	"PutRunNamesTheRule":                        testPutRunNamesTheRule,
	"NoRowBreaksTheContract":                    testNoRowBreaksTheContract,
	"ImportRuns":                                testImportRuns,
	"ImportRunsTheLastOfAnIDWins":               testImportRunsTheLastOfAnIDWins,
	"ImportRunsAllOrNothing":                    testImportRunsAllOrNothing,
	"ManyImportTheSameRuns":                     testManyImportTheSameRuns,
	"OthersWriteDuringAnImport":                 testOthersWriteDuringAnImport,
	"Tokens":                                    testTokens,
	"StoreThatEnds":                             testStoreThatEnds,
	"ReportsInAnyOrder":                         testReportsInAnyOrder,
	"ReportIsRefused":                           testReportIsRefused,
	"ReportAfterAnImport":                       testReportAfterAnImport,
	"ManyReport":                                testManyReport,
	"WriteThatFailsLeavesOthersAlone":           testWriteThatFailsLeavesOthersAlone,
	"RunIsLost":                                 testRunIsLost,
	"ListeningTimeCountsOnce":                   testListeningTimeCountsOnce,
	"ManyOpenANewStoreAtOnce":                   testManyOpenANewStoreAtOnce,
	"AwaitTellsOfAConclusionByAnotherProcess":   testAwaitTellsOfAConclusionByAnotherProcess,
	"AwaitReturnsAtOnceWhatCannotChange":        testAwaitReturnsAtOnceWhatCannotChange,
	"AwaitEnds":                                 testAwaitEnds,
	"ManyAwait":                                 testManyAwait,
	"AnOlderObservationDoesNotReplaceANewerOne": testAnOlderObservationDoesNotReplaceANewerOne,
	"ManyPutTheSameRuns":                        testManyPutTheSameRuns,
	"Unconcluded":                               testUnconcluded,
	"Ready":                                     testReady,
	"PruneRemovesWhatConcludedBefore":           testPruneRemovesWhatConcludedBefore,
	"PruneManyPages":                            testPruneManyPages,
	"ManyPrune":                                 testManyPrune,
	"AwaitARunThatIsPruned":                     testAwaitARunThatIsPruned,
	"Revision":                                  testRevision,
	"EveryFieldIsStored":                        testEveryFieldIsStored,
	"AMistakeInSQLIsNotUnavailable":             testAMistakeInSQLIsNotUnavailable,
	"MissingTablesAreUnavailable":               testMissingTablesAreUnavailable,
	"ErrorOfTheCallersContext":                  testErrorOfTheCallersContext,
	"OpenTakesALaterSchemaThatItMayWrite":       testOpenTakesALaterSchemaThatItMayWrite,
	"Lists":                                     testLists,
	"ListsOfNothing":                            testListsOfNothing,
	"JobsFollowTheirRuns":                       testJobsFollowTheirRuns,
	"PruningKeepsTheStatesOfJobs":               testPruningKeepsTheStatesOfJobs,
	"ManyWriteManyJobs":                         testManyWriteManyJobs,
	"RunInTheFutureDoesNotPrecede":              testRunInTheFutureDoesNotPrecede,
	"JobHasTheTypeThatWatchTells":               testJobHasTheTypeThatWatchTells,
	"RunsOfTheSameSecond":                       testRunsOfTheSameSecond,
	"PruneKeepsARunThatConcludedLate":           testPruneKeepsARunThatConcludedLate,
	"RenewalLeavesTheJobAlone":                  testRenewalLeavesTheJobAlone,
	"RemoveAndRenameJob":                        testRemoveAndRenameJob,
	"OutcomeComesBackAsStored":                  testOutcomeComesBackAsStored,
	"OutcomeIsThatOfItsRun":                     testOutcomeIsThatOfItsRun,
}

// subject is the engine under test.
type subject struct {
	engine store.Engine
	newURL func(*testing.T) string
}

// open opens a new store.
func (on subject) open(t *testing.T) (s *Store, url string) {
	t.Helper()
	url = on.newURL(t)
	return on.reopen(t, url), url
}

// reopen opens the store once more, as another process does.
func (on subject) reopen(t *testing.T, url string) *Store {
	t.Helper()
	return Open(t, on.engine, url)
}

// Store is a store under test.
type Store struct {
	*store.Store
	connect func() *sql.DB
}

// Open opens the store that the URL names. It is closed when the test ends.
func Open(t testing.TB, engine store.Engine, url string) *Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &Store{Store: s, connect: sync.OnceValue(func() *sql.DB {
		if engine.Tables != nil && engine.Tables(url) == "jobruns." {
			url += "&search_path=jobruns" // statements of tests do not name the schema
		}
		db, _, err := engine.Connect(context.WithoutCancel(t.Context()), url, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	})}
}

// DB connects to the store's database as another program would, which does what no method of the
// store does.
func (s *Store) DB() *sql.DB { return s.connect() }
