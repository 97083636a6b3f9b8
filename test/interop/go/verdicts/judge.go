// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"sort"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// What go-spiffe finds in a case, as it stands in the data; nil: refused. Certificates and keys are
// named by the SHA-256 of their DER.
type judge func(c Case, bundles map[string]*spiffebundle.Set) any

func fingerprint(der []byte) string {
	digest := sha256.Sum256(der)
	return hex.EncodeToString(digest[:8])
}

func judgeID(c Case, _ map[string]*spiffebundle.Set) any {
	id, err := spiffeid.FromString(c.input())
	if err != nil {
		return nil
	}
	return map[string]any{"id": id.String(), "trust_domain": id.TrustDomain().Name(),
		"path": id.Path()}
}

func judgeTrustDomain(c Case, _ map[string]*spiffebundle.Set) any {
	td, err := spiffeid.TrustDomainFromString(c.input())
	if err != nil {
		return nil
	}
	return map[string]any{"trust_domain": td.Name()}
}

func judgeX509(c Case, bundles map[string]*spiffebundle.Set) any {
	var chain [][]byte
	for _, text := range c.Chain {
		chain = append(chain, must1(base64.StdEncoding.DecodeString(text)))
	}
	set := bundles[c.Bundles]
	id, paths, err := x509svid.ParseAndVerify(chain, set, x509svid.WithTime(fixedTime))
	if err != nil {
		return nil
	}
	var found []string
	for _, path := range paths {
		text := ""
		for _, certificate := range path {
			text += fingerprint(certificate.Raw) + " "
		}
		found = append(found, text)
	}
	sort.Strings(found)
	return map[string]any{"id": id.String(), "paths": found}
}

func judgeJWT(c Case, bundles map[string]*spiffebundle.Set) any {
	svid, err := jwtsvid.ParseAndValidate(c.input(), bundles[c.Bundles], []string{c.Aud})
	if err != nil {
		return nil
	}
	return map[string]any{"id": svid.ID.String(), "audience": svid.Audience,
		"expires_at": svid.Expiry.Unix(),
		"claims":     string(must1(json.Marshal(plainNumbers(svid.Claims))))}
}

// plainNumbers has whole numbers written as such.
func plainNumbers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range value {
			out[name] = plainNumbers(member)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, member := range value {
			out[i] = plainNumbers(member)
		}
		return out
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
			return int64(value)
		}
	}
	return value
}

func authoritiesOf(keys map[string]crypto.PublicKey) map[string]string {
	found := map[string]string{}
	for kid, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			found[kid] = "no public key"
			continue
		}
		found[kid] = fingerprint(der)
	}
	return found
}

func rootsOf(certificates []*x509.Certificate) []string {
	roots := []string{}
	for _, certificate := range certificates {
		roots = append(roots, fingerprint(certificate.Raw))
	}
	return roots
}

func judgeBundle(c Case, _ map[string]*spiffebundle.Set) any {
	bundle, err := spiffebundle.Parse(exampleOrg, []byte(c.input()))
	if err != nil {
		return nil
	}
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	return map[string]any{"sequence": sequence, "refresh_hint": int64(hint.Seconds()),
		"x509": rootsOf(bundle.X509Authorities()), "jwt": authoritiesOf(bundle.JWTAuthorities())}
}

func judgeJWKS(c Case, _ map[string]*spiffebundle.Set) any {
	bundle, err := jwtbundle.Parse(exampleOrg, []byte(c.input()))
	if err != nil {
		return nil
	}
	return map[string]any{"jwt": authoritiesOf(bundle.JWTAuthorities())}
}

func judgePEM(c Case, _ map[string]*spiffebundle.Set) any {
	bundle, err := x509bundle.Parse(exampleOrg, []byte(c.input()))
	if err != nil {
		return nil
	}
	return map[string]any{"x509": rootsOf(bundle.X509Authorities())}
}

var exampleOrg = spiffeid.RequireTrustDomainFromString("example.org")

func setsOf(documents map[string]map[string]json.RawMessage) map[string]*spiffebundle.Set {
	sets := map[string]*spiffebundle.Set{}
	for name, domains := range documents {
		sets[name] = spiffebundle.NewSet()
		for domain, text := range domains {
			td := spiffeid.RequireTrustDomainFromString(domain)
			sets[name].Add(must1(spiffebundle.Parse(td, text)))
		}
	}
	return sets
}
