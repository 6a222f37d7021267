package sqlite

import "testing"

// TestMachineClock checks that the real clock runs, and that of one boot is told from that of another.
func TestMachineClock(t *testing.T) {
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
