// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"
)

// A spec is a certificate with every part in the open, so that each can be wrong in its own way.
type spec struct {
	version    int // 2: v3
	serial     []byte
	issuer     []byte // DER Name
	validity   []byte // DER, when not from the two times
	from, to   int64
	subject    []byte
	spki       []byte
	extensions []pkix.Extension
	key        crypto.Signer // the subject's
	signer     crypto.Signer
	algorithm  string
	inner      string // the algorithm that the signed part names, when another
	raw        func(tbs []byte) []byte
	signature  func(signature []byte) []byte
	after      func(der []byte) []byte
}

type toBeSigned struct {
	Version    int `asn1:"explicit,tag:0,optional,default:0"`
	Serial     asn1.RawValue
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	Spki       asn1.RawValue
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

type signed struct {
	Tbs       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

func rawOf(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }

func tlv(tag byte, content ...byte) []byte {
	return must1(asn1.Marshal(asn1.RawValue{
		Class: int(tag >> 6), IsCompound: tag&0x20 != 0, Tag: int(tag & 0x1f), Bytes: content}))
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func utcTime(unix int64) []byte {
	return tlv(0x17, []byte(time.Unix(unix, 0).UTC().Format("060102150405Z"))...)
}

func generalizedTime(text string) []byte { return tlv(0x18, []byte(text)...) }

func name(common string) []byte {
	return must1(asn1.Marshal(pkix.Name{Organization: []string{"Test"},
		CommonName: common}.ToRDNSequence()))
}

func identifierOf(name string) pkix.AlgorithmIdentifier {
	found := algorithms[name]
	return pkix.AlgorithmIdentifier{Algorithm: found.oid,
		Parameters: asn1.RawValue{FullBytes: found.params}}
}

func (s spec) der() []byte {
	inner := s.inner
	if inner == "" {
		inner = s.algorithm
	}
	validity := s.validity
	if validity == nil {
		validity = tlv(0x30, join(utcTime(s.from), utcTime(s.to))...)
	}
	tbs := must1(asn1.Marshal(toBeSigned{
		Version: s.version, Serial: asn1.RawValue{Tag: 2, Bytes: s.serial},
		Algorithm: identifierOf(inner), Issuer: rawOf(s.issuer), Validity: rawOf(validity),
		Subject: rawOf(s.subject), Spki: rawOf(s.spki), Extensions: s.extensions}))
	if s.raw != nil {
		tbs = s.raw(tbs)
	}
	made := algorithms[s.algorithm]
	salt := -1
	if made.pss {
		salt = 32
	}
	signature := sign(s.signer, made.hash, tbs, salt)
	if s.signature != nil {
		signature = s.signature(signature)
	}
	bits := tlv(3, append([]byte{0}, signature...)...)
	algorithmDer := must1(asn1.Marshal(identifierOf(s.algorithm)))
	der := tlv(0x30, join(tbs, algorithmDer, bits)...)
	if s.after != nil {
		der = s.after(der)
	}
	return der
}

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSan              = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidPolicies         = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidUnknown          = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 55555, 1}
)

func extension(id asn1.ObjectIdentifier, critical bool, value []byte) pkix.Extension {
	return pkix.Extension{Id: id, Critical: critical, Value: value}
}

// set replaces the extension, or adds it.
func (s *spec) set(added pkix.Extension) {
	for i, known := range s.extensions {
		if known.Id.Equal(added.Id) {
			s.extensions = append([]pkix.Extension(nil), s.extensions...)
			s.extensions[i] = added
			return
		}
	}
	s.extensions = append(s.extensions[:len(s.extensions):len(s.extensions)], added)
}

func (s *spec) drop(id asn1.ObjectIdentifier) {
	var kept []pkix.Extension
	for _, known := range s.extensions {
		if !known.Id.Equal(id) {
			kept = append(kept, known)
		}
	}
	s.extensions = kept
}

func (s *spec) setKey(key crypto.Signer) {
	s.key, s.spki = key, spkiOf(key)
	s.set(extension(oidSubjectKeyID, false, tlv(4, keyID(key)...)))
}

func keyID(key crypto.Signer) []byte {
	digest := sha1.Sum(spkiOf(key))
	return digest[:]
}

// keyUsage of bits as RFC 5280 numbers them: 0 digitalSignature, 5 keyCertSign, 6 cRLSign.
func keyUsage(bits ...int) []byte {
	if len(bits) == 0 {
		return []byte{3, 1, 0}
	}
	var set byte
	last := 0
	for _, bit := range bits {
		set |= 0x80 >> bit
		last = max(last, bit)
	}
	return []byte{3, 2, byte(7 - last), set}
}

func uriName(uri string) []byte { return tlv(0x86, []byte(uri)...) }

func san(names ...[]byte) []byte { return tlv(0x30, join(names...)...) }

func (s *spec) setURIs(uris ...string) {
	var names [][]byte
	for _, uri := range uris {
		names = append(names, uriName(uri))
	}
	s.set(extension(oidSan, false, san(names...)))
}

// authority is a CA of the trust domain; its own root unless it is given another issuer.
func authority(common, id string, key crypto.Signer, algorithm string) spec {
	made := spec{version: 2, serial: []byte{1}, issuer: name(common), subject: name(common),
		from: Now - 3600, to: Now + 24*3600, signer: key, algorithm: algorithm}
	made.set(extension(oidKeyUsage, true, keyUsage(5, 6)))
	made.set(extension(oidBasicConstraints, true, []byte{0x30, 3, 1, 1, 0xff}))
	made.setKey(key)
	if id != "" {
		made.setURIs(id)
	}
	return made
}

func (s *spec) issuedBy(issuer spec) {
	s.issuer, s.signer, s.algorithm = issuer.subject, issuer.key, issuer.signsBy()
	s.set(extension(oidAuthorityKeyID, false, tlv(0x30, tlv(0x80, keyID(issuer.key)...)...)))
}

func leaf(issuer spec) spec {
	made := spec{version: 2, serial: []byte{2}, subject: name("leaf"), from: Now - 10, to: Now +
		3600}
	made.set(extension(oidKeyUsage, true, keyUsage(0, 2, 4)))
	made.set(extension(oidExtKeyUsage, false, ekuServerAndClient))
	made.set(extension(oidBasicConstraints, true, []byte{0x30, 0}))
	made.setKey(p256)
	made.issuedBy(issuer)
	made.setURIs("spiffe://example.org/web")
	return made
}

var ekuServerAndClient = eku(1, 2)

// eku of id-kp numbers; 0 is any.
func eku(numbers ...int) []byte {
	oids := []asn1.ObjectIdentifier{}
	for _, number := range numbers {
		if number == 0 {
			oids = append(oids, asn1.ObjectIdentifier{2, 5, 29, 37, 0})
		} else {
			oids = append(oids, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, number})
		}
	}
	return must1(asn1.Marshal(oids))
}

// signsBy is the algorithm that fits the key.
func (s spec) signsBy() string {
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve.Params().BitSize == 384 {
			return "ecdsa-sha384"
		}
		if key.Curve.Params().BitSize == 521 {
			return "ecdsa-sha512"
		}
		return "ecdsa-sha256"
	case ed25519.PrivateKey:
		return "ed25519"
	}
	return "rsa-sha256"
}
