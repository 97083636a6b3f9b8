// SPDX-License-Identifier: Apache-2.0

// Package verdicts makes the cases of test/golden/go_spiffe: inputs, each with what go-spiffe says
// of it. core/spiffe/go_spiffe_test.cc replays them against Writ, so that go-spiffe judges Writ in
// every run of the tests; TestTheDataIsWhatGoSpiffeSays keeps the data true to the real library.
package verdicts

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"unicode/utf8"
)

// Now is the time at which every case is judged: 2027-01-15 08:00:00 UTC.
const Now int64 = 1_800_000_000

// A Case is one input. Only what its kind needs is set.
type Case struct {
	Name    string   `json:"name"`
	Text    *string  `json:"text,omitempty"`   // the input
	Base64  string   `json:"base64,omitempty"` // the input, where it is no UTF-8
	Chain   []string `json:"chain,omitempty"`  // certificates, leaf first: base64 of DER
	Bundles string   `json:"bundles,omitempty"`
	Aud     string   `json:"audience,omitempty"`
	// What go-spiffe found in it; null: refused.
	Found any `json:"go_spiffe"`
	// Why Writ differs on purpose: one of the file's differences.
	Differs string `json:"differs,omitempty"`
}

func (c Case) input() string {
	if c.Text != nil {
		return *c.Text
	}
	raw, err := base64.StdEncoding.DecodeString(c.Base64)
	must(err)
	return string(raw)
}

func textCase(name, text string) Case {
	if utf8.ValidString(text) {
		return Case{Name: name, Text: &text}
	}
	return Case{Name: name, Base64: base64.StdEncoding.EncodeToString([]byte(text))}
}

// A File is one kind of input.
type File struct {
	GoSpiffe string `json:"go_spiffe_version"`
	Time     int64  `json:"time"`
	// Bundles that cases refer to by name: SPIFFE bundle documents by trust domain.
	Bundles map[string]map[string]json.RawMessage `json:"bundles,omitempty"`
	// Why Writ differs, and in how many cases.
	Differences map[string]Difference `json:"differences"`
	Cases       []Case                `json:"cases"`
}

// A Difference is one rule on which Writ and go-spiffe part on purpose.
type Difference struct {
	Writ  string `json:"writ"` // "refuses", "accepts", or "reads otherwise"
	Why   string `json:"why"`
	Cases int    `json:"cases"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func must1[T any](value T, err error) T {
	must(err)
	return value
}

// mutate changes one to three bytes.
func mutate(random *rand.Rand, bytes []byte) []byte {
	out := append([]byte(nil), bytes...)
	for changes := 1 + random.Intn(3); changes > 0 && len(out) > 0; changes-- {
		at := random.Intn(len(out))
		switch random.Intn(6) {
		case 0:
			out = append(out[:at], out[at+1:]...)
		case 1:
			out = append(out[:at], append([]byte{byte(random.Intn(256))}, out[at:]...)...)
		case 2:
			out[at]++
		case 3:
			out[at] ^= 1 << random.Intn(8)
		case 4:
			other := random.Intn(len(out))
			out[at], out[other] = out[other], out[at]
		default:
			out[at] = byte(random.Intn(256))
		}
	}
	return out
}

// mutants of texts, numbered; a character of the alphabet takes the place of most random bytes, so
// that many stay near the border of what is allowed.
func textMutants(seed int64, count int, alphabet string, seeds ...string) []Case {
	random := rand.New(rand.NewSource(seed))
	var cases []Case
	for i := 0; i < count; i++ {
		text := []byte(seeds[random.Intn(len(seeds))])
		if random.Intn(4) == 0 {
			text = mutate(random, text)
		} else {
			at := random.Intn(len(text) + 1)
			letter := alphabet[random.Intn(len(alphabet))]
			if at < len(text) && random.Intn(2) == 0 {
				text[at] = letter
			} else {
				text = append(text[:at], append([]byte{letter}, text[at:]...)...)
			}
		}
		cases = append(cases, textCase(fmt.Sprintf("mutant %d", i), string(text)))
	}
	return cases
}
