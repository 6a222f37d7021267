package sqlite

import "testing"

func TestMachineClockRunsAndNamesItsBoot(t *testing.T) {
	boot, err := bootID()
	if err != nil || boot == "" {
		t.Fatalf("%v, boot %q", err, boot)
	}
	first, err := steadyClock()
	if err != nil {
		t.Fatal(err)
	}
	second, err := steadyClock()
	if err != nil || second <= first {
		t.Errorf("%v, %s and then %s", err, first, second)
	}
}
