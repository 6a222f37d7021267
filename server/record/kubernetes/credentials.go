package kubernetes

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
)

// slowAfter is how long the log says nothing of a request that has no response.
const slowAfter = 10 * time.Second

// sendError is what a request failed at that had its credentials: the network, or TLS.
type sendError struct{ error }

func (e sendError) Unwrap() error { return e.error }

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

// markErrors makes the transport's errors a [sendError]. What adds credentials to a request lies
// around it, so that the errors of that are none.
func markErrors(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(req)
		if err != nil {
			err = sendError{err}
		}
		return response, err
	})
}

// lacksCredentials reports whether a request was not sent because there were no credentials for it.
func lacksCredentials(err error) bool {
	var failed *url.Error
	var sent sendError
	return errors.As(err, &failed) && !errors.As(err, &sent)
}

// credentialsAdvice says what to do where there are no credentials, or the API server refuses them.
func credentialsAdvice(config *rest.Config) string {
	switch {
	case config.ExecProvider != nil:
		return fmt.Sprintf("the kubeconfig has the program %q print credentials: run it as this user, "+
			"and see that it is found, asks nothing and succeeds", config.ExecProvider.Command)
	case config.AuthProvider != nil:
		return fmt.Sprintf("log in again, or replace auth-provider %q in the kubeconfig by a program that prints "+
			"credentials (exec), such as kubelogin", config.AuthProvider.Name)
	}
	return "check the token or the certificate of the kubeconfig's user, or of the pod's service account"
}

// giveUp makes a transport that ends a request with its context, also while a program prints the
// credentials for it, of which client-go waits for the end. It calls slow if there is no response
// for a while.
func giveUp(next http.RoundTripper, slow func()) http.RoundTripper {
	type result struct {
		response *http.Response
		err      error
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		defer time.AfterFunc(slowAfter, slow).Stop()
		done := make(chan result, 1)
		go func() {
			response, err := next.RoundTrip(req)
			done <- result{response, err}
		}()
		select {
		case r := <-done:
			return r.response, r.err
		case <-req.Context().Done():
			go func() {
				if r := <-done; r.err == nil {
					r.response.Body.Close()
				}
			}()
			return nil, req.Context().Err()
		}
	})
}

func sayThatItIsSlow(config *rest.Config, log *slog.Logger) {
	if config.ExecProvider == nil {
		log.Warn("no response from the API server yet")
	} else {
		log.Warn("no response from the API server, or no credentials for it, yet", "advice", credentialsAdvice(config))
	}
}
