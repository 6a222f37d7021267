package jobrun_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
)

func TestNewSecret(t *testing.T) {
	// Each of 256 bits is sometimes 0 and sometimes 1. That one is the same 100 times over by
	// chance happens once in 10^27 times.
	var zeros, ones [32]byte
	seen := map[string]bool{}
	for range 100 {
		secret, hash := jobrun.NewSecret()
		if hash != sha256.Sum256([]byte(secret)) {
			t.Fatal("the hash is not that of the secret")
		}
		if seen[secret] {
			t.Fatal("the secret was there before")
		}
		seen[secret] = true
		encoded, found := strings.CutPrefix(secret, "jobruns_")
		if !found {
			t.Fatal("the secret has no prefix")
		}
		random, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil || len(random) != 32 {
			t.Fatalf("the secret has %d random bytes, want 32: %v", len(random), err)
		}
		for i, b := range random {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	for i := range ones {
		if ones[i] != 0xff || zeros[i] != 0xff {
			t.Errorf("bits of byte %d never change", i)
		}
	}
}
