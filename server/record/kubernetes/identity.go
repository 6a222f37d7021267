package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// sourcePrefix begins the name of each cluster in the store.
const sourcePrefix = "kubernetes:"

// identifyTimeout is how long the API server may take to say which cluster this is.
const identifyTimeout = 30 * time.Second

// identify finds out which cluster this is. A store may have runs of several, and none may conclude
// another's because it does not know the Job. The uid of the namespace kube-system names a cluster
// for as long as it lives (https://opentelemetry.io/docs/specs/semconv/resource/k8s/#cluster), but
// to read it takes a permission that recording does not. Without it, it is known by its address.
// Returns false if the context ended before.
func (w *Watcher) identify(ctx context.Context) bool {
	again(ctx, func(ctx context.Context) bool {
		uid, err := w.connection.clusterUID(ctx)
		switch {
		case err == nil:
			w.mapping.source = sourcePrefix + uid
			w.log.Info("cluster identified", "source", w.mapping.source)
		case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
			w.mapping.source = w.address
			w.log.Info("cluster identified by its address and authority, without the permission to read its uid",
				"source", w.mapping.source, "permission", "get on namespace kube-system")
		case ctx.Err() != nil:
		default:
			for namespace := range w.informers {
				w.connection.failed(namespace, "get", err)
			}
			return false
		}
		return true
	})
	return ctx.Err() == nil
}

// clusterUID returns the uid of the namespace kube-system.
func (c *connection) clusterUID(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	// The client can decode nothing but Jobs.
	result := c.client.Get().MaxRetries(0).AbsPath("/api/v1/namespaces/kube-system").
		SetHeader("Accept", "application/json").Do(ctx)
	if err := result.Error(); err != nil {
		return "", err
	}
	body, err := result.Raw()
	if err != nil {
		return "", err
	}
	var namespace metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &namespace); err != nil {
		return "", fmt.Errorf("namespace kube-system: %w", err)
	}
	if namespace.UID == "" {
		return "", errors.New("namespace kube-system has no uid")
	}
	return string(namespace.UID), nil
}

// addressSource names the cluster by the API server's address and the authority that vouches for
// it; the address alone will not do, for in most clusters it is the same private one.
func addressSource(config *rest.Config) (string, error) {
	authority := config.CAData
	if len(authority) == 0 && config.CAFile != "" {
		var err error
		if authority, err = os.ReadFile(config.CAFile); err != nil {
			return "", fmt.Errorf("certificate authority: %w", err)
		}
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s", strings.TrimSuffix(config.Host, "/"), authority)
	return sourcePrefix + hex.EncodeToString(hash.Sum(nil)[:8]), nil
}
