package awskms

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeaws"
)

const anyKey = "arn:aws:kms:us-east-1:111122223333:key/x"

// webIdentity sets up what EKS gives a pod whose service account has a role (IRSA), with a fake of AWS STS.
func webIdentity(t *testing.T, sts http.HandlerFunc) {
	t.Helper()
	s := httptest.NewServer(sts)
	t.Cleanup(s.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("jwt-of-the-test"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/operator")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
}

// assumed is STS's answer, with credentials that end when told.
func assumed(w http.ResponseWriter, r *http.Request, end time.Time) {
	if r.FormValue("WebIdentityToken") != "jwt-of-the-test" || r.FormValue("RoleSessionName") != "hipaa-tenant-operator" {
		http.Error(w, "unexpected token or session name", http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
		<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration>
		</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, fakeaws.AccessKey, fakeaws.SecretKey, end.UTC().Format(time.RFC3339))
}

// The identity of the pod's service account is enough.
func TestWebIdentity(t *testing.T) {
	f := fakeaws.Start(t)
	logins := 0
	webIdentity(t, func(w http.ResponseWriter, r *http.Request) {
		logins++
		assumed(w, r, time.Now().Add(time.Hour))
	})
	t.Setenv("AWS_ENDPOINT_URL_KMS", f.URL)
	p, r := New(clock.RealClock{}), ref(t, f.Create(region, ""))
	for range 3 {
		if _, err := p.Describe(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if logins != 1 {
		t.Errorf("%d logins for three requests; expected one", logins)
	}
	// A session that KMS calls expired is not kept.
	f.Upset("", fakeaws.Trouble{Code: "ExpiredTokenException", Message: "expired"})
	_, err := p.Describe(t.Context(), r)
	keyringtest.Expect(t, err, keyring.Refused)
	f.Calm()
	if _, err := p.Describe(t.Context(), r); err != nil || logins != 2 {
		t.Errorf("%d logins, error %v; expected a second login after the session expired", logins, err)
	}
}

func TestNoCredentials(t *testing.T) {
	t.Run("nothing set up", func(t *testing.T) {
		f := fakeaws.Start(t)
		t.Setenv("AWS_ENDPOINT_URL_KMS", f.URL)
		everything(t, New(clock.RealClock{}), ref(t, anyKey), keyring.Refused, "IRSA")
		if n := len(f.Calls()); n > 0 {
			t.Errorf("%d requests without credentials", n)
		}
	})
	t.Run("no instance role", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(s.Close)
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
		everything(t, New(clock.RealClock{}), ref(t, anyKey), keyring.Refused, "IRSA")
	})
	for name, tc := range map[string]struct {
		status    int
		code, say string
		want      keyring.Kind
	}{
		"role refused":  {403, "AccessDenied", "not authorized", keyring.Refused},
		"token refused": {400, "InvalidIdentityToken", "InvalidIdentityToken", keyring.Refused},
		"STS is down":   {503, "ServiceUnavailable", "ServiceUnavailable", keyring.Unreachable},
		"STS throttles": {400, "Throttling", "Throttling", keyring.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			webIdentity(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type><Code>`+tc.code+`</Code><Message>not authorized</Message></Error><RequestId>`+
					time.Now().Format(time.RFC3339Nano)+`</RequestId></ErrorResponse>`)
			})
			everything(t, New(clock.RealClock{}), ref(t, anyKey), tc.want, tc.say)
		})
	}
	t.Run("STS is away", func(t *testing.T) {
		webIdentity(t, nil)
		s := httptest.NewServer(nil)
		s.Close()
		t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
		everything(t, New(clock.RealClock{}), ref(t, anyKey), keyring.Unreachable, "refused")
	})
	t.Run("token file missing", func(t *testing.T) {
		webIdentity(t, nil)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/there/is/none")
		everything(t, New(clock.RealClock{}), ref(t, anyKey), keyring.Refused, "/there/is/none")
	})
}

// Making a client asks nobody: not even where AWS_DEFAULTS_MODE=auto would have the SDK ask the instance for its region.
func TestMakingAClientAsksNobody(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the metadata service was asked") }))
	t.Cleanup(s.Close)
	t.Setenv("AWS_DEFAULTS_MODE", "auto")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
	if _, err := New(clock.RealClock{}).backend(t.Context(), region); err != nil {
		t.Fatal(err)
	}
}
