package store_test

import (
	"path/filepath"
	"testing"

	"github.com/jobruns/jobruns/server/store"
)

// behaviour is what a store does, whatever its engine.
var behaviour = map[string]func(*testing.T, engineUnderTest){
	"RunComesBackAsStored":                      testRunComesBackAsStored,
	"PutRunReplaces":                            testPutRunReplaces,
	"FractionsOfSecondsAreDropped":              testFractionsOfSecondsAreDropped,
	"RunIsFoundByItsWholeKeyOnly":               testRunIsFoundByItsWholeKeyOnly,
	"SchemaRefusesWhatTheContractDoesNotAllow":  testSchemaRefusesWhatTheContractDoesNotAllow,
	"ImportRuns":                                testImportRuns,
	"ImportRunsTheLastOfAnIDWins":               testImportRunsTheLastOfAnIDWins,
	"ImportRunsAllOrNothing":                    testImportRunsAllOrNothing,
	"OthersWriteDuringAnImport":                 testOthersWriteDuringAnImport,
	"Tokens":                                    testTokens,
	"ClosedStoreIsUnavailable":                  testClosedStoreIsUnavailable,
	"ManyOpenANewStoreAtOnce":                   testManyOpenANewStoreAtOnce,
	"AwaitTellsOfAConclusionByAnotherProcess":   testAwaitTellsOfAConclusionByAnotherProcess,
	"AwaitReturnsAtOnceWhatCannotChange":        testAwaitReturnsAtOnceWhatCannotChange,
	"AwaitEnds":                                 testAwaitEnds,
	"ManyAwait":                                 testManyAwait,
	"Lease":                                     testLease,
	"AwaitTellsOfADeadRecorder":                 testAwaitTellsOfADeadRecorder,
	"AnOlderObservationDoesNotReplaceANewerOne": testAnOlderObservationDoesNotReplaceANewerOne,
	"PutRunsStoresMany":                         testPutRunsStoresMany,
	"ManyPutTheSameRuns":                        testManyPutTheSameRuns,
	"Unconcluded":                               testUnconcluded,
	"Ready":                                     testReady,
	"PruneRemovesWhatConcludedBefore":           testPruneRemovesWhatConcludedBefore,
	"PruneRemovesWhatADeadRecorderLeft":         testPruneRemovesWhatADeadRecorderLeft,
	"PruneManyPages":                            testPruneManyPages,
	"PruneEndsWithItsContext":                   testPruneEndsWithItsContext,
	"ManyPrune":                                 testManyPrune,
	"AwaitARunThatIsPruned":                     testAwaitARunThatIsPruned,
	"Revision":                                  testRevision,
	"Final":                                     testFinal,
}

// engineUnderTest makes stores that are not there yet.
type engineUnderTest struct {
	newURL func(*testing.T) string
}

// open opens a new store.
func (e engineUnderTest) open(t *testing.T) (s *store.Store, url string) {
	t.Helper()
	url = e.newURL(t)
	return reopen(t, url), url
}

// test returns when all of them are over.
func (e engineUnderTest) test(t *testing.T) {
	t.Run("Behaviour", func(t *testing.T) {
		for name, test := range behaviour {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // each has a store of its own
				test(t, e)
			})
		}
	})
}

// sqliteUnderTest makes files whose paths have characters with a meaning in URLs.
var sqliteUnderTest = engineUnderTest{newURL: func(t *testing.T) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "a b%3F?x=1#y.db")
}}

func TestSQLite(t *testing.T) { sqliteUnderTest.test(t) }
