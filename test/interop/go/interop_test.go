// SPDX-License-Identifier: Apache-2.0

// Package interop holds Writ to go-spiffe: the client library that most Go workloads use, unchanged.
// The environment names the Workload API (SPIFFE_ENDPOINT_SOCKET) and what to expect; see ../test_go.py.
package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const patience = 90 * time.Second

var (
	trustDomain = spiffeid.RequireTrustDomainFromString("example.org")
	workload    = spiffeid.RequireFromString("spiffe://example.org/workload")
	second      = spiffeid.RequireFromString("spiffe://example.org/second")
)

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newX509Source(t *testing.T, ctx context.Context) *workloadapi.X509Source {
	t.Helper()
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		t.Fatalf("X509Source: %v", err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

func TestFetchX509Context(t *testing.T) {
	t.Parallel()
	answer, err := workloadapi.FetchX509Context(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.SVIDs) != 2 {
		t.Fatalf("got %d SVIDs, want 2", len(answer.SVIDs))
	}
	hints := map[spiffeid.ID]string{}
	for _, svid := range answer.SVIDs {
		hints[svid.ID] = svid.Hint
		bundle, err := answer.Bundles.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
		if err != nil {
			t.Fatal(err)
		}
		id, _, err := x509svid.Verify(svid.Certificates, bundle)
		if err != nil || id != svid.ID {
			t.Fatalf("verify %v: id %v, err %v", svid.ID, id, err)
		}
	}
	if hints[workload] != "" || hints[second] != "internal" {
		t.Fatalf("hints %v", hints)
	}
}

func TestDNSNamesAndCommonName(t *testing.T) {
	t.Parallel()
	svids, err := workloadapi.FetchX509SVIDs(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, svid := range svids {
		if svid.ID != second {
			continue
		}
		leaf := svid.Certificates[0]
		if len(leaf.DNSNames) != 2 || leaf.DNSNames[0] != "second.test" || leaf.Subject.CommonName != "second.test" {
			t.Fatalf("DNS names %v, common name %q", leaf.DNSNames, leaf.Subject.CommonName)
		}
		return
	}
	t.Fatal("the second identity is missing")
}

type updates struct {
	t  *testing.T
	ch chan *workloadapi.X509Context
}

func (u *updates) OnX509ContextUpdate(c *workloadapi.X509Context) { u.ch <- c }
func (u *updates) OnX509ContextWatchError(err error) {
	if status.Code(err) != codes.Canceled {
		u.t.Errorf("watch error: %v", err)
	}
}

// A watcher sees the rotation as one update with new serial numbers, and no update that changes nothing.
func TestWatchX509ThroughRotation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	watcher := &updates{t: t, ch: make(chan *workloadapi.X509Context, 16)}
	done := make(chan error, 1)
	go func() { done <- workloadapi.WatchX509Context(ctx, watcher) }()
	serials := map[string]bool{}
	key := func(c *workloadapi.X509Context) string {
		text := ""
		for _, svid := range c.SVIDs {
			text += svid.Certificates[0].SerialNumber.String() + " "
		}
		return text
	}
	for len(serials) < 3 {
		select {
		case update := <-watcher.ch:
			if serials[key(update)] {
				t.Fatal("the same SVIDs were sent twice")
			}
			serials[key(update)] = true
		case <-ctx.Done():
			t.Fatalf("saw %d different updates only", len(serials))
		}
	}
	cancel()
	<-done
}

func TestJWTSource(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	svid, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "db", ExtraAudiences: []string{"cache"}, Subject: workload})
	if err != nil {
		t.Fatal(err)
	}
	if svid.ID != workload || len(svid.Audience) != 2 {
		t.Fatalf("got %v for %v", svid.ID, svid.Audience)
	}
	if _, err := jwtsvid.ParseAndValidate(svid.Marshal(), source, []string{"db"}); err != nil {
		t.Fatalf("offline validation: %v", err)
	}
	if _, err := jwtsvid.ParseAndValidate(svid.Marshal(), source, []string{"other"}); err == nil {
		t.Fatal("a token for others passed offline validation")
	}
	all, err := source.FetchJWTSVIDs(ctx, jwtsvid.Params{Audience: "db"})
	if err != nil || len(all) != 2 {
		t.Fatalf("got %d tokens, err %v", len(all), err)
	}
}

func TestValidateJWTSVID(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "db", Subject: workload})
	if err != nil {
		t.Fatal(err)
	}
	valid, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "db")
	if err != nil {
		t.Fatal(err)
	}
	if valid.ID != workload {
		t.Fatalf("validated as %v", valid.ID)
	}
	for name, call := range map[string]func() error{
		"wrong audience": func() error { _, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "other"); return err },
		"broken token":   func() error { _, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal()+"A", "db"); return err },
	} {
		if code := status.Code(unwrapped(call())); code != codes.InvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, code)
		}
	}
}

// go-spiffe wraps with %w, which status.Code sees through; a nil error stays nil.
func unwrapped(err error) error {
	var se interface{ GRPCStatus() *status.Status }
	if errors.As(err, &se) {
		return se.GRPCStatus().Err()
	}
	return err
}

func TestErrors(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	client, err := workloadapi.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	foreign := spiffeid.RequireFromString("spiffe://example.org/not-mine")
	_, err = client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "db", Subject: foreign})
	if code := status.Code(unwrapped(err)); code != codes.PermissionDenied {
		t.Errorf("another's identity: %v, want PermissionDenied", err)
	}
	_, err = client.FetchJWTSVID(ctx, jwtsvid.Params{Subject: workload})
	if code := status.Code(unwrapped(err)); code != codes.InvalidArgument {
		t.Errorf("no audience: %v, want InvalidArgument", err)
	}
}

func TestBundleSources(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	source, err := workloadapi.NewBundleSource(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var x509Source x509bundle.Source = source
	x509Bundle, err := x509Source.GetX509BundleForTrustDomain(trustDomain)
	if err != nil || len(x509Bundle.X509Authorities()) == 0 {
		t.Fatalf("X.509 bundle: %v, err %v", x509Bundle, err)
	}
	var jwtSource jwtbundle.Source = source
	jwtBundle, err := jwtSource.GetJWTBundleForTrustDomain(trustDomain)
	if err != nil || len(jwtBundle.JWTAuthorities()) == 0 {
		t.Fatalf("JWT bundle: %v, err %v", jwtBundle, err)
	}
}

// A real server and a real client keep talking over mutual TLS while both rotate.
func TestMutualTLSThroughRotation(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	serverSource := newX509Source(t, ctx)
	clientSource := newX509Source(t, ctx)
	listener, err := tls.Listen("tcp", "127.0.0.1:0",
		tlsconfig.MTLSServerConfig(serverSource, serverSource, tlsconfig.AuthorizeMemberOf(trustDomain)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				defer c.Close()
				line, err := bufio.NewReader(c).ReadString('\n')
				if err == nil {
					io.WriteString(c, line)
				}
			}(conn)
		}
	}()
	serials := map[string]bool{}
	config := tlsconfig.MTLSClientConfig(clientSource, clientSource, tlsconfig.AuthorizeMemberOf(trustDomain))
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for len(serials) < 2 {
		conn, err := tls.Dial("tcp", listener.Addr().String(), config)
		if err != nil {
			t.Fatalf("handshake after %d serials: %v", len(serials), err)
		}
		fmt.Fprintln(conn, "hello")
		if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || answer != "hello\n" {
			t.Fatalf("answer %q, err %v", answer, err)
		}
		serials[conn.ConnectionState().PeerCertificates[0].SerialNumber.String()] = true
		conn.Close()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("no rotation was seen")
		}
	}
}

// Run again by ../test_go.py as a user for whom there is no entry.
func TestNoIdentity(t *testing.T) {
	if os.Getenv("WRIT_EXPECT_NO_IDENTITY") == "" {
		t.Skip("runs as a user without an entry, in a process of its own")
	}
	_, err := workloadapi.FetchX509Context(bounded(t))
	if code := status.Code(unwrapped(err)); code != codes.PermissionDenied {
		t.Fatalf("%v, want PermissionDenied", err)
	}
}
