// SPDX-License-Identifier: Apache-2.0
//
// Holds Writ to java-spiffe, unchanged. SPIFFE_ENDPOINT_SOCKET names the Workload API. A line for
// each test. Run as a single source file by the JDK, with the library on the class path.

import io.spiffe.bundle.jwtbundle.JwtBundleSet;
import io.spiffe.bundle.x509bundle.X509BundleSet;
import io.spiffe.exception.JwtSvidException;
import io.spiffe.exception.X509ContextException;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.spiffeid.TrustDomain;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.JwtSource;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import java.math.BigInteger;
import java.security.Signature;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

public class Interop {
  static final long PATIENCE_SECONDS = 90;
  static final TrustDomain TRUST_DOMAIN = TrustDomain.parse("example.org");
  static final SpiffeId WORKLOAD = SpiffeId.parse("spiffe://example.org/workload");
  static final SpiffeId SECOND = SpiffeId.parse("spiffe://example.org/second");

  interface Test {
    void run() throws Exception;
  }

  static void expect(boolean condition, String sentence) {
    if (!condition) {
      throw new AssertionError(sentence);
    }
  }

  static void refused(Class<? extends Exception> expected, Test test) throws Exception {
    try {
      test.run();
    } catch (Exception failure) {
      expect(expected.isInstance(failure), "failed with " + failure);
      return;
    }
    throw new AssertionError("succeeded, but " + expected.getSimpleName() + " was due");
  }

  /** Keeps every update of a stream, and fails the test that waits when the stream fails. */
  static class Updates<T> implements Watcher<T> {
    final BlockingQueue<T> seen = new LinkedBlockingQueue<>();
    volatile Throwable error;

    @Override
    public void onUpdate(T update) {
      seen.add(update);
    }

    @Override
    public void onError(Throwable failure) {
      error = failure;
    }

    T next() throws InterruptedException {
      T update = seen.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      expect(update != null, "no update; the stream's error: " + error);
      return update;
    }
  }

  static List<BigInteger> serials(X509Context context) {
    return context.getX509Svids().stream()
        .map(svid -> svid.getLeaf().getSerialNumber())
        .collect(Collectors.toList());
  }

  static void x509ContextHoldsBothIdentities() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      X509Context context = client.fetchX509Context();
      Set<SpiffeId> ids =
          context.getX509Svids().stream().map(X509Svid::getSpiffeId).collect(Collectors.toSet());
      expect(ids.equals(Set.of(WORKLOAD, SECOND)), "got " + ids);
      for (X509Svid svid : context.getX509Svids()) {
        X509SvidValidator.verifyChain(svid.getChain(), context.getX509BundleSet());
        boolean second = svid.getSpiffeId().equals(SECOND);
        expect("internal".equals(svid.getHint()) == second, "hint " + svid.getHint());
      }
      SpiffeId first = context.getDefaultSvid().getSpiffeId();
      expect(client.fetchX509Context().getDefaultSvid().getSpiffeId().equals(first),
          "the order of SVIDs is not stable");
    }
  }

  static void privateKeyFitsTheLeaf() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      X509Svid svid = client.fetchX509Context().getDefaultSvid();
      byte[] message = "signed by a workload".getBytes();
      Signature signer = Signature.getInstance("SHA256withECDSA");
      signer.initSign(svid.getPrivateKey());
      signer.update(message);
      Signature verifier = Signature.getInstance("SHA256withECDSA");
      verifier.initVerify(svid.getLeaf());
      verifier.update(message);
      expect(verifier.verify(signer.sign()), "the key is not the certificate's");
    }
  }

  static void streamGoesThroughRotations() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      Updates<X509Context> updates = new Updates<>();
      client.watchX509Context(updates);
      List<BigInteger> last = List.of();
      for (int i = 0; i < 3; ++i) {
        X509Context context = updates.next();
        expect(!serials(context).equals(last), "an unchanged answer was sent twice");
        last = serials(context);
        for (X509Svid svid : context.getX509Svids()) {
          svid.getLeaf().checkValidity();
          X509SvidValidator.verifyChain(svid.getChain(), context.getX509BundleSet());
        }
      }
      expect(updates.error == null, "the stream failed: " + updates.error);
    }
  }

  static void x509SourceFollowsARotation() throws Exception {
    try (DefaultX509Source source = DefaultX509Source.newSource()) {
      BigInteger first = source.getX509Svid().getLeaf().getSerialNumber();
      expect(!source.getBundleForTrustDomain(TRUST_DOMAIN).getX509Authorities().isEmpty(),
          "no authority");
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
      while (source.getX509Svid().getLeaf().getSerialNumber().equals(first)) {
        expect(System.nanoTime() < end, "the source never rotated");
        Thread.sleep(100);
      }
    }
  }

  static void bundlesAreStreamed() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      Updates<X509BundleSet> x509 = new Updates<>();
      client.watchX509Bundles(x509);
      expect(!x509.next().getBundleForTrustDomain(TRUST_DOMAIN).getX509Authorities().isEmpty(),
          "no X.509 authority");
      Updates<JwtBundleSet> jwt = new Updates<>();
      client.watchJwtBundles(jwt);
      expect(!jwt.next().getBundleForTrustDomain(TRUST_DOMAIN).getJwtAuthorities().isEmpty(),
          "no JWT authority");
    }
  }

  static void jwtSvidIsFetchedAndValidated() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      JwtSvid svid = client.fetchJwtSvid(WORKLOAD, "db", "cache");
      expect(svid.getSpiffeId().equals(WORKLOAD), "got " + svid.getSpiffeId());
      expect(svid.getAudience().equals(Set.of("db", "cache")), "audience " + svid.getAudience());
      expect(client.validateJwtSvid(svid.getToken(), "db").getSpiffeId().equals(WORKLOAD),
          "validated as another");
      refused(JwtSvidException.class, () -> client.validateJwtSvid(svid.getToken(), "other"));
      refused(JwtSvidException.class, () -> client.validateJwtSvid(
          svid.getToken().substring(0, svid.getToken().length() - 8), "db"));
      expect(client.fetchJwtSvids("db").size() == 2, "one token for each identity");
    }
  }

  static void anotherIdentitysTokenIsRefused() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      refused(JwtSvidException.class,
          () -> client.fetchJwtSvid(SpiffeId.parse("spiffe://example.org/not-mine"), "db"));
    }
  }

  static void jwtSourceValidatesOffline() throws Exception {
    try (JwtSource source = DefaultJwtSource.newSource()) {
      JwtSvid svid = source.fetchJwtSvid(WORKLOAD, "db");
      JwtSvid valid = JwtSvid.parseAndValidate(svid.getToken(), source, Set.of("db"));
      expect(valid.getSpiffeId().equals(WORKLOAD), "validated as " + valid.getSpiffeId());
    }
  }

  static void nobodyHasNoIdentity() throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      refused(X509ContextException.class, client::fetchX509Context);
      refused(JwtSvidException.class, () -> client.fetchJwtSvid("db"));
    }
  }

  public static void main(String[] arguments) {
    Map<String, Test> tests = new LinkedHashMap<>();
    if (System.getenv("WRIT_EXPECT_NO_IDENTITY") != null) {
      tests.put("nobodyHasNoIdentity", Interop::nobodyHasNoIdentity);
    } else {
      tests.put("x509ContextHoldsBothIdentities", Interop::x509ContextHoldsBothIdentities);
      tests.put("privateKeyFitsTheLeaf", Interop::privateKeyFitsTheLeaf);
      tests.put("streamGoesThroughRotations", Interop::streamGoesThroughRotations);
      tests.put("x509SourceFollowsARotation", Interop::x509SourceFollowsARotation);
      tests.put("bundlesAreStreamed", Interop::bundlesAreStreamed);
      tests.put("jwtSvidIsFetchedAndValidated", Interop::jwtSvidIsFetchedAndValidated);
      tests.put("anotherIdentitysTokenIsRefused", Interop::anotherIdentitysTokenIsRefused);
      tests.put("jwtSourceValidatesOffline", Interop::jwtSourceValidatesOffline);
    }
    int failed = 0;
    for (Map.Entry<String, Test> test : tests.entrySet()) {
      try {
        test.getValue().run();
        System.out.println("ok " + test.getKey());
      } catch (Throwable failure) {
        failure.printStackTrace(System.out);
        System.out.println("FAIL " + test.getKey());
        ++failed;
      }
    }
    System.out.flush();
    Runtime.getRuntime().halt(failed == 0 ? 0 : 1);  // the library's threads hold the process
  }
}
