// Package kubernetes records the Jobs of a Kubernetes cluster as runs, so that these can still be read after the cluster
// has removed the Jobs.
package kubernetes
