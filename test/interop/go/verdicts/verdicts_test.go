// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// go test ./verdicts -args -write makes the data anew, inputs and verdicts.
var write = flag.Bool("write", false, "write test/golden/go_spiffe instead of comparing with it")

const (
	golden   = "../../../golden/go_spiffe/"
	goSpiffe = "v2.9.0"
)

var fixedTime = time.Unix(Now, 0)

type documents = map[string]map[string]json.RawMessage

var kinds = map[string]struct {
	judge judge
	make  func() ([]Case, documents)
}{
	"spiffe_id":     {judgeID, plain(spiffeIDs)},
	"trust_domain":  {judgeTrustDomain, plain(trustDomains)},
	"x509_svid":     {judgeX509, x509SVIDs},
	"jwt_svid":      {judgeJWT, jwtSVIDs},
	"spiffe_bundle": {judgeBundle, plain(spiffeBundles)},
	"jwks":          {judgeJWKS, plain(jwksDocuments)},
	"pem_bundle":    {judgePEM, plain(pemBundles)},
}

func plain(cases func() []Case) func() ([]Case, documents) {
	return func() ([]Case, documents) { return cases(), nil }
}

func TestTheDataIsWhatGoSpiffeSays(t *testing.T) {
	for kind, facts := range sortedByName(kinds) {
		t.Run(kind, func(t *testing.T) {
			// Within the bubble the clock is ours: go-spiffe judges tokens by the real one.
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(fixedTime))
				path := golden + kind + ".json"
				if *write {
					cases, bundles := facts.make()
					writeFile(path, withVerdicts(unique(cases), bundles, facts.judge), bundles)
					return
				}
				compare(t, path, facts.judge)
			})
		})
	}
}

// compare asks go-spiffe about the data's own inputs.
func compare(t *testing.T, path string, judge judge) {
	var data File
	must(json.Unmarshal(must1(os.ReadFile(path)), &data))
	if data.GoSpiffe != goSpiffe || data.Time != Now {
		t.Fatalf("the data is of go-spiffe %s at %d", data.GoSpiffe, data.Time)
	}
	now := withVerdicts(append([]Case(nil), data.Cases...), data.Bundles, judge)
	for i, known := range data.Cases {
		if !reflect.DeepEqual(normal(known.Found), normal(now[i].Found)) {
			t.Errorf("%s: go-spiffe says %v, the data %v", known.Name, now[i].Found, known.Found)
		}
	}
}

// normal is a verdict as it is once it was read from the data.
func normal(found any) any {
	var value any
	must(json.Unmarshal(must1(json.Marshal(found)), &value))
	return value
}

func unique(cases []Case) []Case {
	seen := map[string]bool{}
	var kept []Case
	for _, c := range cases {
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		kept = append(kept, c)
	}
	return kept
}

func withVerdicts(cases []Case, bundles documents, judge judge) []Case {
	sets := setsOf(bundles)
	for i := range cases {
		cases[i].Found = judge(cases[i], sets)
	}
	return cases
}

func writeFile(path string, cases []Case, bundles documents) {
	data := File{GoSpiffe: goSpiffe, Time: Now, Bundles: bundles}
	data.Differences = keepDifferences(path, cases)
	// One case a line, so that a change shows as the cases that changed.
	var out bytes.Buffer
	head := must1(json.Marshal(data))
	out.Write(bytes.TrimSuffix(head, []byte(`null}`)))
	out.WriteString("[\n")
	for i, c := range cases {
		if i > 0 {
			out.WriteString(",\n")
		}
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		must(encoder.Encode(c))
		out.Truncate(out.Len() - 1)
	}
	out.WriteString("\n]}\n")
	must(os.MkdirAll(golden, 0o755))
	must(os.WriteFile(path, out.Bytes(), 0o644))
}
