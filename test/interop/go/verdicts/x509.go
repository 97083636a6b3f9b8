// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"

	"github.com/go-jose/go-jose/v4"
)

const (
	td  = "spiffe://example.org"
	web = td + "/web"
)

var (
	root      = authority("root", td, ecKey("root", p256.Curve), "ecdsa-sha256")
	rsaRoot   = authority("rsa root", td, rsa2048, "rsa-sha256")
	edRoot    = authority("ed25519 root", td, edKey("root"), "ed25519")
	otherRoot = authority("other root", "spiffe://example.com", ecKey("other root", p384.Curve),
		"ecdsa-sha384")
	unrelated = authority("root", td, ecKey("unrelated", p256.Curve), "ecdsa-sha256")
)

func changed(base spec, change func(*spec)) spec {
	change(&base)
	return base
}

// The roots of each case's bundle, by the bundle's name; each has its own trust domain's as well.
var x509Bundles = map[string]map[string][]spec{
	"main":            {"example.org": {root, rsaRoot, edRoot}, "example.com": {otherRoot}},
	"none":            {"example.com": {otherRoot}},
	"both swapped":    {"example.org": {otherRoot}, "example.com": {root}},
	"no roots":        {"example.org": {}},
	"unrelated":       {"example.org": {unrelated}},
	"two of one name": {"example.org": {unrelated, root}},
}

// rootCases: one leaf under a root that is odd, in a bundle of its own.
var rootCases = map[string]func(*spec){
	"expired":              func(s *spec) { s.to = Now - 1 },
	"not yet valid":        func(s *spec) { s.from = Now + 1 },
	"no key usage":         func(s *spec) { s.drop(oidKeyUsage) },
	"no basic constraints": func(s *spec) { s.drop(oidBasicConstraints) },
	"no basic constraints and key usage": func(s *spec) {
		s.drop(oidBasicConstraints)
		s.drop(oidKeyUsage)
	},
	"CA flag false": func(s *spec) {
		s.set(extension(oidBasicConstraints, true, []byte{0x30, 0}))
	},
	"no keyCertSign": func(s *spec) {
		s.set(extension(oidKeyUsage, true, keyUsage(6)))
	},
	"digitalSignature alone": func(s *spec) {
		s.set(extension(oidKeyUsage, true, keyUsage(0)))
	},
	"keyCertSign alone": func(s *spec) {
		s.set(extension(oidKeyUsage, true, keyUsage(5)))
	},
	"all usages": func(s *spec) {
		s.set(extension(oidKeyUsage, true, keyUsage(0, 5, 6)))
	},
	"usage not critical": func(s *spec) {
		s.set(extension(oidKeyUsage, false, keyUsage(5, 6)))
	},
	"an ID with a path":             func(s *spec) { s.setURIs(td + "/ca") },
	"an ID with a slash":            func(s *spec) { s.setURIs(td + "/") },
	"another domain's ID":           func(s *spec) { s.setURIs("spiffe://example.com") },
	"no ID":                         func(s *spec) { s.drop(oidSan) },
	"two IDs":                       func(s *spec) { s.setURIs(td, "spiffe://example.com") },
	"an https URI":                  func(s *spec) { s.setURIs("https://example.org") },
	"a malformed ID":                func(s *spec) { s.setURIs(td + "//a") },
	"version 1":                     func(s *spec) { s.version, s.extensions = 0, nil },
	"a broken signature":            func(s *spec) { s.signature = flipLast },
	"a SHA-1 signature":             func(s *spec) { s.algorithm = "ecdsa-sha1" },
	"an unknown critical extension": func(s *spec) { s.set(extension(oidUnknown, true, null)) },
	"an unknown extension":          func(s *spec) { s.set(extension(oidUnknown, false, null)) },
	"EKU code signing": func(s *spec) {
		s.set(extension(oidExtKeyUsage, false, eku(3)))
	},
	"path length 0": func(s *spec) {
		s.set(extension(oidBasicConstraints, true, pathLength(0)))
	},
	"names example.org":  func(s *spec) { s.set(permitURI("example.org")) },
	"names example.com":  func(s *spec) { s.set(permitURI("example.com")) },
	"names .example.org": func(s *spec) { s.set(permitURI(".example.org")) },
	"names excluded":     func(s *spec) { s.set(excludeURI("example.org")) },
	"DNS names of another": func(s *spec) {
		s.set(extension(oidNameConstraints, true, tlv(0x30,
			tlv(0xa0, tlv(0x30, tlv(0x82, []byte("a.test")...)...)...)...)))
	},
	"no subject key ID": func(s *spec) { s.drop(oidSubjectKeyID) },
	"another subject key ID": func(s *spec) {
		s.set(extension(oidSubjectKeyID, false, tlv(4, 1, 2, 3)))
	},
	"issued by nobody here": func(s *spec) { s.issuedBy(unrelated); s.issuer = name("nobody") },
}

func flipLast(bytes []byte) []byte {
	out := append([]byte(nil), bytes...)
	out[len(out)-1] ^= 1
	return out
}

func pathLength(length byte) []byte { return []byte{0x30, 6, 1, 1, 0xff, 2, 1, length} }

func permitURI(host string) (made extensionType) {
	return extension(oidNameConstraints, true,
		tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x86, []byte(host)...)...)...)...))
}

func excludeURI(host string) (made extensionType) {
	return extension(oidNameConstraints, true,
		tlv(0x30, tlv(0xa1, tlv(0x30, tlv(0x86, []byte(host)...)...)...)...))
}

func certificateOf(s spec) *x509.Certificate { return must1(x509.ParseCertificate(s.der())) }

func x509Document(roots []spec) json.RawMessage {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, root := range roots {
		certificate := certificateOf(root)
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: certificate.PublicKey,
			Certificates: []*x509.Certificate{certificate}, Use: "x509-svid"})
	}
	return must1(json.Marshal(set))
}

func x509Case(name, bundles string, chain ...spec) Case {
	made := Case{Name: name, Bundles: bundles}
	for _, certificate := range chain {
		made.Chain = append(made.Chain, base64.StdEncoding.EncodeToString(certificate.der()))
	}
	return made
}

// middle is an intermediate authority below `issuer`.
func middle(common string, issuer spec) spec {
	made := authority(common, td, ecKey(common, p256.Curve), "ecdsa-sha256")
	made.issuedBy(issuer)
	return made
}

func x509SVIDs() ([]Case, map[string]map[string]json.RawMessage) {
	bundles := map[string]map[string]json.RawMessage{}
	for name, roots := range x509Bundles {
		bundles[name] = map[string]json.RawMessage{}
		for domain, list := range roots {
			bundles[name][domain] = x509Document(list)
		}
	}
	var cases []Case
	for name, change := range sortedByName(rootCases) {
		odd := changed(root, change)
		bundle := "root: " + name
		bundles[bundle] = map[string]json.RawMessage{"example.org": x509Document([]spec{odd})}
		cases = append(cases, x509Case(bundle, bundle, leaf(odd)))
		if name == "path length 0" || name == "names example.org" {
			between := middle("middle", odd)
			cases = append(cases, x509Case(bundle+", with an intermediate", bundle, leaf(between),
				between))
		}
	}
	for name, change := range sortedByName(leafCases) {
		cases = append(cases, x509Case("leaf: "+name, "main", changed(leaf(root), change)))
	}
	cases = append(cases, leafIDs()...)
	for name, change := range sortedByName(middleCases) {
		between := changed(middle("middle", root), change)
		cases = append(cases, x509Case("intermediate: "+name, "main", leaf(between), between))
	}
	cases = append(cases, chainCases(bundles)...)
	cases = append(cases, twinCases(bundles)...)
	return append(cases, x509Mutants()...), bundles
}

// Every ID that stands in the SPIFFE IDs' own cases, as the URI of a leaf.
func leafIDs() []Case {
	var cases []Case
	for _, text := range idTexts {
		id := changed(leaf(root), func(s *spec) { s.setURIs(text) })
		cases = append(cases, x509Case(fmt.Sprintf("leaf with the ID %.60q", text), "main", id))
	}
	return cases
}

// Leaves whose signed part was changed and signed again: what is left are the parsers' own rules.
func x509Mutants() []Case {
	random := rand.New(rand.NewSource(3))
	var cases []Case
	issuers := []spec{root, rsaRoot, edRoot}
	for i := 0; i < 300; i++ {
		changedLeaf := changed(leaf(issuers[i%3]), func(s *spec) {
			s.raw = func(tbs []byte) []byte { return mutate(random, tbs) }
		})
		cases = append(cases, x509Case(fmt.Sprintf("mutant %d", i), "main", changedLeaf))
	}
	return cases
}

func chainCases(bundles map[string]map[string]json.RawMessage) []Case {
	a, b := middle("a", root), middle("b", root)
	below := middle("below a", a)
	foreign := changed(middle("foreign", otherRoot),
		func(s *spec) { s.setURIs("spiffe://example.com") })
	bundles["leaf"] = map[string]json.RawMessage{"example.org": x509Document([]spec{leaf(root)})}
	bundles["intermediate"] = map[string]json.RawMessage{"example.org": x509Document([]spec{a})}
	good := leaf(root)
	cases := []Case{
		x509Case("no certificates", "main"),
		x509Case("a leaf", "main", good),
		x509Case("a leaf of RSA's root", "main", leaf(rsaRoot)),
		x509Case("a leaf of Ed25519's root", "main", leaf(edRoot)),
		x509Case("a leaf without a bundle", "none", good),
		x509Case("a leaf and another domain's root", "both swapped", good),
		x509Case("a leaf and no roots", "no roots", good),
		x509Case("a leaf and another root of the name", "unrelated", good),
		x509Case("a leaf and two roots of one name", "two of one name", good),
		x509Case("the root as the leaf", "main", root),
		x509Case("the leaf itself in the bundle", "leaf", good),
		x509Case("the leaf twice", "main", good, good),
		x509Case("the root in the chain", "main", good, root),
		x509Case("the root alone is missing", "main", leaf(unrelated), unrelated),
		x509Case("an intermediate", "main", leaf(a), a),
		x509Case("an intermediate is missing", "main", leaf(a)),
		x509Case("an intermediate in the bundle", "intermediate", leaf(a)),
		x509Case("an intermediate in the bundle and the chain", "intermediate", leaf(a), a),
		x509Case("two intermediates", "main", leaf(below), below, a),
		x509Case("two intermediates the other way", "main", leaf(below), a, below),
		x509Case("an intermediate that is not needed", "main", leaf(a), b, a),
		x509Case("a leaf that is not needed", "main", good, leaf(otherRoot)),
		x509Case("the leaf last", "main", a, leaf(a)),
		x509Case("another domain's intermediate", "main", leaf(foreign), foreign),
		x509Case("a leaf of another domain's root", "main", leaf(otherRoot)),
		x509Case("another domain's own leaf", "main", changed(leaf(otherRoot), func(s *spec) {
			s.setURIs("spiffe://example.com/web")
		})),
		x509Case("a leaf that signs", "main", leaf(changed(leaf(root), func(s *spec) {})),
			leaf(root)),
	}
	for _, length := range []int{3, 7, 8, 9, 10, 12, 21} {
		chain := []spec{}
		issuer := root
		for i := 2; i < length; i++ {
			issuer = middle(fmt.Sprintf("link %d", i), issuer)
			chain = append([]spec{issuer}, chain...)
		}
		chain = append([]spec{leaf(issuer)}, chain...)
		cases = append(cases, x509Case(fmt.Sprintf("a path of %d certificates", length), "main",
			chain...))
	}
	for key, signer := range sortedByName(leafKeys) {
		cases = append(cases, x509Case("a leaf's key: "+key, "main",
			changed(leaf(root), func(s *spec) { s.setKey(signer) })))
	}
	return cases
}

var leafKeys = map[string]crypto.Signer{"p224": p224, "p384": p384, "p521": p521, "ed25519": ed,
	"rsa 2048": rsa2048, "rsa 1024": rsa1024, "rsa with exponent 3": rsaOdd}
