// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"encoding/json"
	"os"
)

// Where Writ parts from go-spiffe on purpose. Which cases do so stands in the data itself, as the
// member "differs" of a case, written by hand; making the data anew keeps it for the same inputs.
var differences = map[string]Difference{
	"size limits": refuses(
		"IDs have at most 2048 bytes, trust domains 255 (SPIFFE-ID 2.3)"),
	"an ID is no trust domain": refuses(
		"the name of a trust domain is asked for: a path that would be dropped without a " +
			"word is an error"),
	"signer's ID": refuses(
		"a signing certificate has one SPIFFE ID at most, without a path, of the trust " +
			"domain that it signs for (X509-SVID 3.2)"),
	"signer's flags": refuses(
		"a signing certificate has the CA flag and keyCertSign (X509-SVID 3.2, 4.3)"),
	"leaf's usage": refuses(
		"a leaf has the key usage digitalSignature (X509-SVID 4.3)"),
	"extra certificates": refuses(
		"what stands beside the leaf in a chain is a signing certificate, needed or not"),
	"the leaf as its root": refuses(
		"a leaf is signed by an authority; standing in the bundle does not make it one"),
	"long chains": refuses(
		"a path has at most 10 certificates"),
	"key's kind": refuses(
		"keys are of P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits"),
	"key IDs match": refuses(
		"the authority key ID is the issuer's subject key ID where both are there (RFC " +
			"5280 4.2.1.1, as OpenSSL has it)"),
	"the last second": refuses(
		"OpenSSL takes a certificate as expired in the second of its notAfter"),
	"DER alone": refuses(
		"certificates are DER as RFC 5280 has it: nothing trails within an extension or a " +
			"name, times have seconds, serial numbers 20 bytes at most, names are of known " +
			"kinds and hold no NUL"),
	"URIs as they stand": refuses(
		"the URI is read as it stands; Go's parser changes the scheme to lower case and " +
			"drops an empty fragment first"),
	"letters of a PrintableString": accepts(
		"subjects and issuers say who nobody is: their letters are not judged, as in " +
			"OpenSSL"),
	"typ of null": refuses(
		"a typ that is there is JWT or JOSE (JWT-SVID 2.3)"),
	"crit": refuses(
		"no critical extension is known, not even an empty list of them or b64"),
	"unused header parameters": accepts(
		"parameters that Writ does not use are not read (RFC 7515 4)"),
	"BOM": accepts(
		"a byte order mark before JSON is passed over (RFC 8259 8.1)"),
	"well-formed JSON": refuses(
		"JSON is UTF-8, has no lone surrogates, no name twice and at most 32 levels"),
	"many audiences": refuses(
		"a token has at most 1000 audiences"),
	"far dates": readsOtherwise(
		"times after the year 2255 are taken as that year; the claims show the token's " +
			"own"),
	"farther dates": accepts(
		"numbers beyond what Go's times can hold are as far away as any"),
	"salt of PSS": refuses(
		"the salt is as long as the hash (RFC 7518 3.5)"),
	"strict base64": refuses(
		"base64url has no line breaks, and no bits are left over (RFC 7515 2)"),
	"case of names": refuses(
		"names of members are case-sensitive (RFC 8259); Go's reader takes any case"),
	"case of members": readsOtherwise(
		"names of members are case-sensitive (RFC 8259); Go's reader takes any case"),
	"one kid, one key": refuses(
		"a key ID stands for one key (SPIFFE Bundle 6.3)"),
	"whole numbers": accepts(
		"1.0 and 1e3 are whole numbers (RFC 8259 has one kind of number)"),
	"counts": refuses(
		"the sequence and the refresh hint are numbers from 0 to 2^63-1 where they are " +
			"there"),
	"far hints": readsOtherwise(
		"Go's seconds overflow its durations"),
	"keys": refuses(
		"keys is there and a list (SPIFFE Bundle 4.1.3, RFC 7517 5)"),
	"no JWT keys": readsOtherwise(
		"keys that sign no JWT-SVID, Ed25519 and octets, are passed over"),
	"foreign elements": accepts(
		"elements of unknown or missing kty or use are passed over (SPIFFE Bundle 4.2.1, " +
			"4.2.2), members that say nothing here (alg, x5t, x5u, x5c) not read (4.1)"),
	"first of x5c": accepts(
		"elements without x5c are passed over, and only its first counts (X509-SVID 6.2)"),
	"RSA numbers": refuses(
		"RSA keys have 2048 to 8192 bits, a modulus without leading zeros and an odd " +
			"exponent of 3 to 2^32-1"),
	"private keys": refuses(
		"a private key has no place in a bundle"),
	"an empty file": refuses(
		"a PEM bundle without a certificate is a mistake"),
	"other blocks": refuses(
		"a PEM bundle holds CERTIFICATE blocks without headers, and nothing else"),
}

func refuses(why string) Difference        { return Difference{Writ: "refuses", Why: why} }
func accepts(why string) Difference        { return Difference{Writ: "accepts", Why: why} }
func readsOtherwise(why string) Difference { return Difference{Writ: "reads otherwise", Why: why} }

func (c Case) key() string {
	c.Found, c.Differs, c.Name = nil, "", ""
	return string(must1(json.Marshal(c)))
}

func keepDifferences(path string, cases []Case) map[string]Difference {
	known := map[string]string{}
	if text, err := os.ReadFile(path); err == nil {
		var data File
		must(json.Unmarshal(text, &data))
		for _, c := range data.Cases {
			known[c.key()] = c.Differs
		}
	}
	counted := map[string]Difference{}
	for i := range cases {
		reason := known[cases[i].key()]
		if reason == "" {
			continue
		}
		difference, named := differences[reason]
		if !named {
			panic("no difference is named " + reason)
		}
		cases[i].Differs = reason
		difference.Cases = counted[reason].Cases + 1
		counted[reason] = difference
	}
	return counted
}
