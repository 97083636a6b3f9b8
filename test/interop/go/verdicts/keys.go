// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	_ "embed"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"math/rand"
)

// The keys are the same in every run: of elliptic curves by their names, of RSA from a file.

//go:embed rsa_keys.pem
var rsaKeysPem []byte

func ecKey(name string, curve elliptic.Curve) *ecdsa.PrivateKey {
	digest := sha512.Sum512([]byte(name))
	scalar := new(big.Int).SetBytes(digest[:])
	scalar.Mod(scalar, new(big.Int).Sub(curve.Params().N, big.NewInt(1)))
	scalar.Add(scalar, big.NewInt(1))
	bytes := scalar.FillBytes(make([]byte, (curve.Params().N.BitLen()+7)/8))
	return must1(ecdsa.ParseRawPrivateKey(curve, bytes))
}

func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func rsaKeys() []*rsa.PrivateKey {
	var keys []*rsa.PrivateKey
	for rest := rsaKeysPem; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return keys
		}
		keys = append(keys, must1(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey))
	}
}

var (
	p224      = ecKey("p224", elliptic.P224())
	p256      = ecKey("p256", elliptic.P256())
	otherP256 = ecKey("other p256", elliptic.P256())
	p384      = ecKey("p384", elliptic.P384())
	p521      = ecKey("p521", elliptic.P521())
	ed        = edKey("ed25519")
	rsa2048   = rsaKeys()[0]
	rsa1024   = rsaKeys()[1]
	rsaOdd    = rsaKeys()[2] // 2048 bits, exponent 3
)

func spkiOf(key crypto.Signer) []byte { return must1(x509.MarshalPKIXPublicKey(key.Public())) }

// An algorithm of signatures of certificates: its identifier, and how it is made.
type algorithm struct {
	oid    asn1.ObjectIdentifier
	params []byte // DER, or nothing
	hash   crypto.Hash
	pss    bool
}

var null = []byte{5, 0}

var algorithms = map[string]algorithm{
	"ecdsa-sha1":   {asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, nil, crypto.SHA1, false},
	"ecdsa-sha256": {asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, nil, crypto.SHA256, false},
	"ecdsa-sha384": {asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, nil, crypto.SHA384, false},
	"ecdsa-sha512": {asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, nil, crypto.SHA512, false},
	"rsa-md5":      {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, null, crypto.MD5, false},
	"rsa-sha1":     {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, null, crypto.SHA1, false},
	"rsa-sha256": {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, null, crypto.SHA256,
		false},
	"rsa-sha384": {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, null, crypto.SHA384,
		false},
	"rsa-sha512": {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, null, crypto.SHA512,
		false},
	"rsa-pss": {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}, pssParams, crypto.SHA256,
		true},
	"ed25519": {asn1.ObjectIdentifier{1, 3, 101, 112}, nil, 0, false},
}

// RSASSA-PSS-params of SHA-256, MGF1 with SHA-256, a salt of 32 bytes.
var pssParams = []byte{
	0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
	0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
	0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
	0x00, 0xa2, 0x03, 0x02, 0x01, 0x20,
}

// sign makes the same signature each time (RFC 6979 for ECDSA). A salt of less than 0 means none of
// PSS at all.
func sign(key crypto.Signer, hash crypto.Hash, message []byte, salt int) []byte {
	digest := message
	if hash != 0 {
		hasher := hash.New()
		hasher.Write(message)
		digest = hasher.Sum(nil)
	}
	if salt >= 0 {
		random := rand.New(rand.NewSource(int64(len(message))))
		return must1(rsa.SignPSS(random, key.(*rsa.PrivateKey), hash, digest,
			&rsa.PSSOptions{SaltLength: salt}))
	}
	return must1(key.Sign(nil, digest, hash))
}
