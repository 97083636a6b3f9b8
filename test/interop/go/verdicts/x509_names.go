// SPDX-License-Identifier: Apache-2.0

package verdicts

import "encoding/json"

// Certificates whose subject is their issuer's. Go writes no authority key ID into them, and takes
// none of them for self-signed because of it.

var noName = []byte{0x30, 0}

// twin has its issuer's name, as Go issues it.
func twin(s, issuer spec) spec {
	s.subject = issuer.subject
	s.issuedBy(issuer)
	s.drop(oidAuthorityKeyID)
	return s
}

func selfSigned(s spec) spec {
	s.signer, s.algorithm = s.key, s.signsBy()
	return s
}

func twinCases(bundles map[string]map[string]json.RawMessage) []Case {
	var cases []Case
	for kind, subject := range sortedByName(map[string][]byte{"a name": name("twin"),
		"no name": noName}) {
		twinRoot := changed(authority("twin root", td, ecKey("twin root", p256.Curve),
			"ecdsa-sha256"), func(s *spec) { s.issuer, s.subject = subject, subject })
		bundle := func(name string, roots ...spec) string {
			name = kind + ": " + name
			bundles[name] = map[string]json.RawMessage{"example.org": x509Document(roots)}
			return name
		}
		add := func(name, bundle string, chain ...spec) {
			cases = append(cases, x509Case("twins of "+kind+": "+name, bundle, chain...))
		}
		twinPaths(add, bundle("root", twinRoot), twinRoot)
		twinImpostors(add, bundle("root", twinRoot), twinRoot)
		twinRules(add, bundle, twinRoot)
	}
	return cases
}

type adder = func(name, bundle string, chain ...spec)

func twinPaths(add adder, bundle string, root spec) {
	child := twin(leaf(root), root)
	a := twin(middle("twin a", root), root)
	b := twin(middle("twin b", a), a)
	add("a leaf", bundle, child)
	add("a leaf and its root", bundle, child, root)
	add("a leaf with an authority key ID", bundle, changed(child, func(s *spec) {
		s.set(extension(oidAuthorityKeyID, false, tlv(0x30, tlv(0x80, keyID(root.key)...)...)))
	}))
	add("an intermediate", bundle, leaf(a), a)
	add("an intermediate is missing", bundle, leaf(a))
	add("a leaf and an intermediate", bundle, twin(leaf(a), a), a)
	add("a leaf whose intermediate is missing", bundle, twin(leaf(a), a))
	add("two intermediates", bundle, twin(leaf(b), b), b, a)
	add("two intermediates the other way", bundle, twin(leaf(b), b), a, b)
	add("two intermediates and the root", bundle, twin(leaf(b), b), a, root, b)
	add("no key IDs at all", bundle, changed(twin(leaf(b), b), func(s *spec) {
		s.drop(oidSubjectKeyID)
	}), changed(a, func(s *spec) { s.drop(oidSubjectKeyID) }),
		changed(b, func(s *spec) { s.drop(oidSubjectKeyID) }))
	add("a leaf of the root's key", bundle, changed(child, func(s *spec) { s.setKey(root.key) }))
	add("a leaf of its intermediate's key", bundle,
		changed(twin(leaf(a), a), func(s *spec) { s.setKey(a.key) }), a)
}

func twinImpostors(add adder, bundle string, root spec) {
	byAnother := func(s *spec) { s.signer = otherP256 }
	child := twin(leaf(root), root)
	a := twin(middle("twin a", root), root)
	impostor := changed(root, func(s *spec) { s.setKey(otherP256); *s = selfSigned(*s) })
	add("a leaf by another key", bundle, changed(child, byAnother))
	add("a leaf by another key, and the root", bundle, changed(child, byAnother), root)
	add("a leaf that signed itself", bundle, selfSigned(child))
	add("a leaf that signed itself, twice", bundle, selfSigned(child), selfSigned(child))
	add("a leaf with a broken signature", bundle, changed(child, func(s *spec) {
		s.signature = flipLast
	}))
	add("an intermediate by another key", bundle, twin(leaf(a), a), changed(a, byAnother))
	add("an intermediate that signed itself", bundle, twin(leaf(a), a), selfSigned(a))
	add("another root of the name", bundle, twin(leaf(impostor), impostor), impostor)
	add("another root of the name, not needed", bundle, child, impostor)
	add("another root of the name before the intermediate", bundle, twin(leaf(a), a), impostor, a)
	add("a leaf below a leaf", bundle, twin(leaf(child), child), child)
}

func twinRules(add adder, bundle func(string, ...spec) string, root spec) {
	other := changed(root, func(s *spec) { s.setKey(otherP256); *s = selfSigned(*s) })
	child := twin(leaf(root), root)
	add("two roots of one name", bundle("two roots", other, root), child)
	add("another root", bundle("other root", other), child)
	add("a leaf that signed itself, in the bundle", bundle("leaf", selfSigned(child)),
		selfSigned(child))
	good := bundle("root", root)
	for name, change := range sortedByName(map[string]func(*spec){
		"expired":              func(s *spec) { s.to = Now - 1 },
		"not yet valid":        func(s *spec) { s.from = Now + 1 },
		"no CA flag":           with(oidBasicConstraints, true, []byte{0x30, 0}),
		"no keyCertSign":       with(oidKeyUsage, true, keyUsage(0, 6)),
		"path length 0":        with(oidBasicConstraints, true, pathLength(0)),
		"names example.org":    func(s *spec) { s.set(permitURI("example.org")) },
		"names example.com":    func(s *spec) { s.set(permitURI("example.com")) },
		"a SHA-1 signature":    func(s *spec) { s.algorithm = "ecdsa-sha1" },
		"EKU code signing":     with(oidExtKeyUsage, false, eku(3)),
		"an unknown extension": with(oidUnknown, true, null),
	}) {
		a := changed(twin(middle("twin a", root), root), change)
		add("intermediate: "+name, good, twin(leaf(a), a), a)
		b := twin(middle("twin b", a), a)
		add("intermediate of an intermediate: "+name, good, twin(leaf(b), b), b, a)
	}
	short := changed(root, with(oidBasicConstraints, true, pathLength(0)))
	narrow := changed(root, func(s *spec) { s.set(permitURI("example.org")) })
	foreign := changed(twin(middle("twin a", root), root), func(s *spec) {
		s.setURIs("https://example.com")
	})
	a := twin(middle("twin a", root), root)
	add("root: path length 0", bundle("short root", short), child)
	add("root: path length 0, with an intermediate", bundle("short root", short),
		twin(leaf(a), a), a)
	add("root: names example.org", bundle("narrow root", narrow), child)
	add("root: names example.org, with an intermediate", bundle("narrow root", narrow),
		twin(leaf(a), a), a)
	add("root: names example.org, with a foreign intermediate", bundle("narrow root", narrow),
		twin(leaf(foreign), foreign), foreign)
	add("a foreign intermediate", good, twin(leaf(foreign), foreign), foreign)
}
