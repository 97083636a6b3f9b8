// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"iter"
	"maps"
	"slices"
)

type extensionType = pkix.Extension

func sortedByName[T any](all map[string]T) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !yield(name, all[name]) {
				return
			}
		}
	}
}

func with(id asn1.ObjectIdentifier, critical bool, value []byte) func(*spec) {
	return func(s *spec) { s.set(extension(id, critical, value)) }
}

func without(id asn1.ObjectIdentifier) func(*spec) { return func(s *spec) { s.drop(id) } }

func sans(names ...[]byte) func(*spec) { return with(oidSan, false, san(names...)) }

func validity(from, to []byte) func(*spec) {
	return func(s *spec) { s.validity = tlv(0x30, join(from, to)...) }
}

func rsaSigned(algorithm string) func(*spec) {
	return func(s *spec) {
		s.issuedBy(rsaRoot)
		s.algorithm = algorithm
	}
}

func replaced(old, new []byte) func([]byte) []byte {
	return func(tbs []byte) []byte { return bytes.Replace(tbs, old, new, 1) }
}

var (
	id        = uriName(web)
	otherName = tlv(0xa0, join([]byte{6, 3, 0x2a, 3, 4}, tlv(0xa0, tlv(0x0c, 'x')...))...)
	dirName   = tlv(0xa4, name("directory")...)
	future    = Now + 3600
)

var leafCases = map[string]func(*spec){
	"two URIs":              func(s *spec) { s.setURIs(web, td+"/db") },
	"the same URI twice":    func(s *spec) { s.setURIs(web, web) },
	"a second URI of https": func(s *spec) { s.setURIs(web, "https://example.org") },
	"no SAN":                without(oidSan),
	"an empty SAN":          sans(),
	"a critical SAN":        with(oidSan, true, san(id)),
	"two SANs": func(s *spec) {
		s.extensions = append(s.extensions, extension(oidSan, false, san(id)))
	},
	"bytes after the SAN":       with(oidSan, false, append(san(id), 0)),
	"a SAN that is no list":     with(oidSan, false, []byte{4, 1, 0}),
	"a DNS name":                sans(id, tlv(0x82, []byte("a.test")...)),
	"a DNS name first":          sans(tlv(0x82, []byte("a.test")...), id),
	"an empty DNS name":         sans(id, tlv(0x82)),
	"a DNS name with a space":   sans(id, tlv(0x82, []byte("a b")...)),
	"a DNS name in UTF-8":       sans(id, tlv(0x82, []byte("ä.test")...)),
	"a wildcard":                sans(id, tlv(0x82, []byte("*.test")...)),
	"a DNS name with a NUL":     sans(id, tlv(0x82, []byte("a\x00b")...)),
	"an email address":          sans(id, tlv(0x81, []byte("a@a.test")...)),
	"an IPv4 address":           sans(id, tlv(0x87, 1, 2, 3, 4)),
	"an IPv6 address":           sans(id, tlv(0x87, make([]byte, 16)...)),
	"an address of 5 bytes":     sans(id, tlv(0x87, 1, 2, 3, 4, 5)),
	"an other name":             sans(id, otherName),
	"a directory name":          sans(id, dirName),
	"a registered ID":           sans(id, tlv(0x88, 0x2a, 3)),
	"a name of an unknown kind": sans(id, tlv(0x89, 1)),
	"an other name alone":       sans(otherName),
	"a compound URI":            sans(tlv(0xa6, []byte(web)...)),
	"a universal tag":           sans(tlv(0x16, []byte(web)...)),
	"a URI in the subject only": func(s *spec) { s.drop(oidSan); s.subject = name(web) },

	"no basic constraints":      without(oidBasicConstraints),
	"the CA flag":               with(oidBasicConstraints, true, []byte{0x30, 3, 1, 1, 0xff}),
	"the CA flag, not critical": with(oidBasicConstraints, false, []byte{0x30, 3, 1, 1, 0xff}),
	"the CA flag and its usage": func(s *spec) {
		with(oidBasicConstraints, true, []byte{0x30, 3, 1, 1, 0xff})(s)
		with(oidKeyUsage, true, keyUsage(0, 5))(s)
	},
	"a path length alone":           with(oidBasicConstraints, true, []byte{0x30, 3, 2, 1, 0}),
	"the CA flag false, written":    with(oidBasicConstraints, true, []byte{0x30, 3, 1, 1, 0}),
	"a CA flag of 1":                with(oidBasicConstraints, true, []byte{0x30, 3, 1, 1, 1}),
	"broken basic constraints":      with(oidBasicConstraints, true, []byte{0x30, 3, 1}),
	"bytes after basic constraints": with(oidBasicConstraints, true, []byte{0x30, 0, 0}),
	"constraints not critical":      with(oidBasicConstraints, false, []byte{0x30, 0}),
	"two basic constraints": func(s *spec) {
		s.extensions = append(s.extensions, extension(oidBasicConstraints, true, []byte{0x30, 0}))
	},

	"no key usage":             without(oidKeyUsage),
	"digitalSignature alone":   with(oidKeyUsage, true, keyUsage(0)),
	"and keyEncipherment":      with(oidKeyUsage, true, keyUsage(0, 2)),
	"and keyAgreement":         with(oidKeyUsage, true, keyUsage(0, 4)),
	"and contentCommitment":    with(oidKeyUsage, true, keyUsage(0, 1)),
	"no digitalSignature":      with(oidKeyUsage, true, keyUsage(2, 4)),
	"keyCertSign":              with(oidKeyUsage, true, keyUsage(0, 5)),
	"cRLSign":                  with(oidKeyUsage, true, keyUsage(0, 6)),
	"keyCertSign alone":        with(oidKeyUsage, true, keyUsage(5)),
	"an empty key usage":       with(oidKeyUsage, true, keyUsage()),
	"a usage not critical":     with(oidKeyUsage, false, keyUsage(0)),
	"decipherOnly":             with(oidKeyUsage, true, []byte{3, 3, 7, 0x80, 0x80}),
	"a usage with zero bits":   with(oidKeyUsage, true, []byte{3, 2, 0, 0x80}),
	"a usage with padding set": with(oidKeyUsage, true, []byte{3, 2, 7, 0x81}),
	"a broken usage":           with(oidKeyUsage, true, []byte{3, 2, 9, 0x80}),
	"a usage that is a number": with(oidKeyUsage, true, []byte{2, 1, 0x80}),
	"bytes after the usage":    with(oidKeyUsage, true, append(keyUsage(0), 0)),

	"no EKU":                        without(oidExtKeyUsage),
	"EKU any":                       with(oidExtKeyUsage, false, eku(0)),
	"EKU server":                    with(oidExtKeyUsage, false, eku(1)),
	"EKU client":                    with(oidExtKeyUsage, false, eku(2)),
	"EKU code signing":              with(oidExtKeyUsage, false, eku(3)),
	"EKU critical":                  with(oidExtKeyUsage, true, eku(1, 2)),
	"EKU empty":                     with(oidExtKeyUsage, false, []byte{0x30, 0}),
	"EKU broken":                    with(oidExtKeyUsage, false, []byte{0x30, 3, 6, 9}),
	"an unknown extension":          with(oidUnknown, false, null),
	"an unknown critical extension": with(oidUnknown, true, null),
	"an unknown extension twice": func(s *spec) {
		s.extensions = append(s.extensions, extension(oidUnknown, false, null),
			extension(oidUnknown, false, null))
	},
	"a policy":               with(oidPolicies, false, []byte{0x30, 6, 0x30, 4, 6, 2, 0x2a, 3}),
	"a critical policy":      with(oidPolicies, true, []byte{0x30, 6, 0x30, 4, 6, 2, 0x2a, 3}),
	"name constraints":       func(s *spec) { s.set(permitURI("example.org")) },
	"other name constraints": func(s *spec) { s.set(permitURI("example.com")) },
	"no extensions":          func(s *spec) { s.extensions = nil },

	"expired":                func(s *spec) { s.to = Now - 1 },
	"its last second":        func(s *spec) { s.to = Now },
	"its first second":       func(s *spec) { s.from = Now },
	"not yet valid":          func(s *spec) { s.from = Now + 1 },
	"times the wrong way":    func(s *spec) { s.from, s.to = Now+10, Now-10 },
	"longer than its root":   func(s *spec) { s.to = Now + 1000*24*3600 },
	"generalized time":       validity(utcTime(Now-10), generalizedTime("20480101000000Z")),
	"the year 2050":          validity(utcTime(Now-10), generalizedTime("20500101000000Z")),
	"the year 9999":          validity(utcTime(Now-10), generalizedTime("99991231235959Z")),
	"the year 1950":          validity(tlv(0x17, []byte("500101000000Z")...), utcTime(future)),
	"the year 1949":          validity(generalizedTime("19490101000000Z"), utcTime(future)),
	"the year 0":             validity(generalizedTime("00000101000000Z"), utcTime(future)),
	"a time without seconds": validity(tlv(0x17, []byte("2601010000Z")...), utcTime(future)),
	"a time with an offset":  validity(tlv(0x17, []byte("260101000000+0000")...), utcTime(future)),
	"a time with a fraction": validity(utcTime(Now-10), generalizedTime("20500101000000.5Z")),
	"a time without a zone":  validity(utcTime(Now-10), generalizedTime("20500101000000")),
	"the 30th of February":   validity(tlv(0x17, []byte("260230000000Z")...), utcTime(future)),
	"a leap second":          validity(tlv(0x17, []byte("251231235960Z")...), utcTime(future)),
	"24 o'clock":             validity(tlv(0x17, []byte("251231240000Z")...), utcTime(future)),
	"a time of letters":      validity(tlv(0x17, []byte("abcdefghijklZ")...), utcTime(future)),
	"a time as text":         validity(tlv(0x0c, []byte("260101000000Z")...), utcTime(future)),
	"one time":               func(s *spec) { s.validity = tlv(0x30, utcTime(Now)...) },

	"serial 0":             func(s *spec) { s.serial = []byte{0} },
	"a negative serial":    func(s *spec) { s.serial = []byte{0x80} },
	"an empty serial":      func(s *spec) { s.serial = nil },
	"a serial of 20 bytes": func(s *spec) { s.serial = bytes.Repeat([]byte{0x7f}, 20) },
	"a serial of 21 bytes": func(s *spec) { s.serial = bytes.Repeat([]byte{0x7f}, 21) },
	"a serial of 40 bytes": func(s *spec) { s.serial = bytes.Repeat([]byte{0x7f}, 40) },
	"a padded serial":      func(s *spec) { s.serial = []byte{0, 2} },
	"version 1":            func(s *spec) { s.version = 0 },
	"version 2":            func(s *spec) { s.version = 1 },
	"version 4":            func(s *spec) { s.version = 3 },
	"a negative version":   func(s *spec) { s.version = -1 },
	"a written version 1": func(s *spec) {
		s.raw = replaced([]byte{0xa0, 3, 2, 1, 2}, []byte{0xa0, 3, 2, 1, 0})
	},

	"an empty subject": func(s *spec) { s.subject = []byte{0x30, 0} },
	"an empty subject, critical": func(s *spec) {
		s.subject = []byte{0x30, 0}
		with(oidSan, true, san(id))(s)
	},
	"a subject in UTF-8": func(s *spec) { s.subject = name("ä") },
	"a subject of a star": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x13, 4, 'l', '*', 'a', 'f'})
	},
	"a subject of an at sign": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x13, 4, 'l', '@', 'a', 'f'})
	},
	"a subject of Latin-1": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x14, 4, 'l', 0xe4, 'a', 'f'})
	},
	"a subject of broken UTF-8": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x0c, 4, 'l', 0xff, 'a', 'f'})
	},
	"a subject of UTF-16": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x1e, 4, 0, 'e', 0, 'f'})
	},
	"a subject of digits": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x12, 4, '1', '2', '3', '4'})
	},
	"a subject that is a number": func(s *spec) {
		s.raw = replaced([]byte{0x13, 4, 'l', 'e', 'a', 'f'}, []byte{0x02, 4, '1', '2', '3', '4'})
	},
	"another issuer's name":     func(s *spec) { s.issuer = name("nobody") },
	"an empty issuer":           func(s *spec) { s.issuer = []byte{0x30, 0} },
	"no authority key ID":       without(oidAuthorityKeyID),
	"another authority key ID":  with(oidAuthorityKeyID, false, tlv(0x30, tlv(0x80, 1, 2, 3)...)),
	"an empty authority key ID": with(oidAuthorityKeyID, false, []byte{0x30, 0}),
	"a critical authority key ID": with(oidAuthorityKeyID, true, tlv(0x30, tlv(0x80,
		keyID(root.key)...)...)),
	"a broken authority key ID": with(oidAuthorityKeyID, false, []byte{0x30, 1}),
	"authority by another serial": with(oidAuthorityKeyID, false, tlv(0x30, join(tlv(0xa1,
		tlv(0xa4, name("root")...)...), tlv(0x82, 9))...)),
	"no subject key ID":         without(oidSubjectKeyID),
	"a critical subject key ID": with(oidSubjectKeyID, true, tlv(4, keyID(p256)...)),
	"a broken subject key ID":   with(oidSubjectKeyID, false, []byte{4, 9}),

	"signed by another key": func(s *spec) { s.signer = otherP256 },
	"a flipped bit":         func(s *spec) { s.signature = flipLast },
	"an empty signature": func(s *spec) {
		s.signature = func([]byte) []byte { return nil }
	},
	"a longer signature": func(s *spec) {
		s.signature = func(b []byte) []byte { return append(b, 0) }
	},
	"ECDSA with SHA-384": func(s *spec) { s.algorithm = "ecdsa-sha384" },
	"ECDSA with SHA-512": func(s *spec) { s.algorithm = "ecdsa-sha512" },
	"ECDSA with SHA-1":   func(s *spec) { s.algorithm = "ecdsa-sha1" },
	"two algorithms":     func(s *spec) { s.inner = "ecdsa-sha384" },
	"RSA with SHA-1":     rsaSigned("rsa-sha1"),
	"RSA with SHA-384":   rsaSigned("rsa-sha384"),
	"RSA with SHA-512":   rsaSigned("rsa-sha512"),
	"RSA with MD5":       rsaSigned("rsa-md5"),
	"RSA-PSS":            rsaSigned("rsa-pss"),
	"bytes after the certificate": func(s *spec) {
		s.after = func(der []byte) []byte { return append(der, 0) }
	},
	"a cut": func(s *spec) {
		s.after = func(der []byte) []byte { return der[:len(der)-1] }
	},
	"an indefinite length": func(s *spec) { s.after = indefinite },
	"twice in one": func(s *spec) {
		s.after = func(der []byte) []byte { return join(der, der) }
	},
	"no bytes":              func(s *spec) { s.after = func([]byte) []byte { return nil } },
	"a point off its curve": func(s *spec) { s.spki = flipLast(s.spki) },
	"a key of an unknown kind": func(s *spec) {
		s.raw = replaced([]byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}, []byte{0x2a, 0x86, 0x48,
			0xce, 0x3d, 2, 9})
	},
	"a compressed point": func(s *spec) { s.spki = compressed(s.spki) },
}

func indefinite(der []byte) []byte { return join([]byte{0x30, 0x80}, der[4:], []byte{0, 0}) }

func compressed(spki []byte) []byte {
	point := spki[len(spki)-65:]
	short := append([]byte{2 + point[64]&1}, point[1:33]...)
	return tlv(0x30, join(spki[2:len(spki)-68], tlv(3, append([]byte{0}, short...)...))...)
}

var middleCases = map[string]func(*spec){
	"no CA flag":               with(oidBasicConstraints, true, []byte{0x30, 0}),
	"no basic constraints":     without(oidBasicConstraints),
	"constraints not critical": with(oidBasicConstraints, false, []byte{0x30, 3, 1, 1, 0xff}),
	"no key usage":             without(oidKeyUsage),
	"no keyCertSign":           with(oidKeyUsage, true, keyUsage(0, 6)),
	"keyCertSign alone":        with(oidKeyUsage, true, keyUsage(5)),
	"an ID with a path":        func(s *spec) { s.setURIs(td + "/ca") },
	"an ID with a slash":       func(s *spec) { s.setURIs(td + "/") },
	"another domain's ID":      func(s *spec) { s.setURIs("spiffe://example.com") },
	"no ID":                    without(oidSan),
	"two IDs":                  func(s *spec) { s.setURIs(td, td) },
	"a malformed ID":           func(s *spec) { s.setURIs("spiffe://Example.org") },
	"an https URI":             func(s *spec) { s.setURIs("https://example.org") },
	"expired":                  func(s *spec) { s.to = Now - 1 },
	"not yet valid":            func(s *spec) { s.from = Now + 1 },
	"path length 0":            with(oidBasicConstraints, true, pathLength(0)),
	"path length 1":            with(oidBasicConstraints, true, pathLength(1)),
	"a negative path length":   with(oidBasicConstraints, true, pathLength(0xff)),
	"EKU server and client":    with(oidExtKeyUsage, false, eku(1, 2)),
	"EKU code signing":         with(oidExtKeyUsage, false, eku(3)),
	"names example.org":        func(s *spec) { s.set(permitURI("example.org")) },
	"names example.com":        func(s *spec) { s.set(permitURI("example.com")) },
	"names excluded":           func(s *spec) { s.set(excludeURI("example.org")) },
	"names not critical": func(s *spec) {
		made := permitURI("example.com")
		made.Critical = false
		s.set(made)
	},
	"an unknown critical extension": with(oidUnknown, true, null),
	"an unknown extension":          with(oidUnknown, false, null),
	"version 1":                     func(s *spec) { s.version, s.extensions = 0, nil },
	"a broken signature":            func(s *spec) { s.signature = flipLast },
	"a SHA-1 signature":             func(s *spec) { s.algorithm = "ecdsa-sha1" },
	"no subject key ID":             without(oidSubjectKeyID),
	"another subject key ID":        with(oidSubjectKeyID, false, tlv(4, 1, 2, 3)),
	"the root's own name":           func(s *spec) { s.subject = root.subject },
}
