// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"strings"
)

// Every algorithm with every key, and PSS with several salts.
func jwtAlgorithms() []Case {
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384,
		"512": crypto.SHA512}
	keys := map[string]crypto.Signer{"es256": p256, "es384": p384, "es512": p521, "rsa": rsa2048,
		"rsa3": rsaOdd}
	var cases []Case
	for _, family := range []string{"ES", "RS", "PS"} {
		for bits, hash := range sortedByName(hashes) {
			for kid, key := range sortedByName(keys) {
				_, curve := key.(*ecdsa.PrivateKey)
				if curve != (family == "ES") {
					continue
				}
				salts := []int{-1}
				if family == "PS" {
					salts = []int{hash.Size(), 0, 20, 61}
				}
				for _, salt := range salts {
					input := base64url(fmt.Sprintf(`{"alg":"%s%s","kid":"%s"}`, family, bits,
						kid)) + "." +
						base64url(goodClaims)
					signature := signToken(input, key, hash, salt)
					cases = append(cases, jwtCase(fmt.Sprintf("%s%s by %s, salt %d", family, bits,
						kid, salt),
						input+"."+base64url(string(signature))))
				}
			}
		}
	}
	return cases
}

// The good token in other forms.
func jwtForms() []Case {
	good := token(goodHeader, goodClaims)
	parts := strings.Split(good, ".")
	input := parts[0] + "." + parts[1]
	signature := signToken(input, p256, crypto.SHA256, -1)
	withSignature := func(bytes []byte) string { return input + "." + base64url(string(bytes)) }
	s := new(big.Int).SetBytes(signature[32:])
	highS := append(append([]byte(nil), signature[:32]...),
		new(big.Int).Sub(p256.Curve.Params().N, s).FillBytes(make([]byte, 32))...)
	forms := map[string]string{
		"the good one":               good,
		"nothing":                    "",
		"dots":                       "..",
		"no signature":               input + ".",
		"no third part":              input,
		"no header":                  "." + parts[1] + "." + parts[2],
		"no claims":                  parts[0] + ".." + parts[2],
		"four parts":                 good + ".",
		"five parts":                 good + ".a.b",
		"a padded header":            parts[0] + "=." + parts[1] + "." + parts[2],
		"a padded signature":         good + "==",
		"a space before":             " " + good,
		"a space after":              good + " ",
		"a line break after":         good + "\n",
		"a line break within":        good[:40] + "\r\n" + good[40:],
		"a line break in the claims": parts[0] + ".\n" + parts[1] + "." + parts[2],
		"a space within":             good[:40] + " " + good[40:],
		"a NUL after":                good + "\x00",
		"Bearer before":              "Bearer " + good,
		"trailing bits set":          good[:len(good)-1] + string(nextLetter(good[len(good)-1])),
		"standard alphabet":          strings.NewReplacer("-", "+", "_", "/").Replace(good),
		"a signature in DER":         withSignature(sign(p256, crypto.SHA256, []byte(input), -1)),
		"a short signature":          withSignature(signature[:63]),
		"a long signature":           withSignature(append(signature[:64:64], 0)),
		"a signature of zeros":       withSignature(make([]byte, 64)),
		"the other s":                withSignature(highS),
		"a flipped bit":              withSignature(flipLast(signature)),
		"by another key":             withSignature(signToken(input, otherP256, crypto.SHA256, -1)),
		"JSON, flattened": `{"protected":"` + parts[0] + `","payload":"` + parts[1] +
			`","signature":"` +
			parts[2] + `"}`,
		"JSON, general": `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] +
			`","signature":"` + parts[2] + `"}]}`,
		"other claims": parts[0] + "." + base64url(strings.Replace(goodClaims, "web", "abc", 1)) +
			"." +
			parts[2],
	}
	var cases []Case
	for name, form := range sortedByName(forms) {
		cases = append(cases, jwtCase("form: "+name, form))
	}
	return cases
}

// The good token where it is not to be taken.
func jwtContexts() []Case {
	good := token(goodHeader, goodClaims)
	var cases []Case
	for _, bundle := range []string{"none", "empty"} {
		made := jwtCase("bundle: "+bundle, good)
		made.Bundles = bundle
		cases = append(cases, made)
	}
	for _, audience := range []string{"audit", "other", "Reports", " reports"} {
		made := jwtCase(fmt.Sprintf("audience: %q", audience), good)
		made.Aud = audience
		cases = append(cases, made)
	}
	return cases
}

// nextLetter of base64url; the last letter of 64 bytes' base64 has four bits that say nothing.
func nextLetter(letter byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, letter)|1]
}
