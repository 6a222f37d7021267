//go:build e2e

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/jobruns/jobruns/e2e/postgres"
)

// descriptor points to a file of an OCI layout
// (https://github.com/opencontainers/image-spec/blob/main/descriptor.md).
type descriptor struct{ Digest string }

// imageConfig is how an image says that it is run.
type imageConfig struct {
	Architecture string
	Config       struct {
		User            string
		Env, Entrypoint []string
		Labels          map[string]string
	}
}

// readBlob reads a JSON file of an OCI layout.
func readBlob(t *testing.T, layout, digest string, into any) {
	t.Helper()
	data, err := os.ReadFile(blob(layout, digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func blob(layout, digest string) string {
	return filepath.Join(layout, "blobs", strings.Replace(digest, ":", "/", 1))
}

// unpackImage writes the files of an image's only platform into the folder, all owned by root as
// they are in the image, and returns its configuration.
func unpackImage(t *testing.T, layout, folder string) (config imageConfig) {
	t.Helper()
	var index struct{ Manifests []descriptor }
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	readBlob(t, layout, index.Manifests[0].Digest, &index) // one of platforms
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	readBlob(t, layout, index.Manifests[0].Digest, &manifest)
	readBlob(t, layout, manifest.Config.Digest, &config)
	for _, layer := range manifest.Layers {
		command(t, folder, nil, "tar", "-xzpf", blob(layout, layer.Digest))
		wantOwnedByRoot(t, blob(layout, layer.Digest))
	}
	return config
}

// wantOwnedByRoot checks that the image's user can change nothing in a layer.
func wantOwnedByRoot(t *testing.T, layer string) {
	t.Helper()
	file, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.Mode&0o022 != 0 {
			t.Errorf("%s belongs to %d:%d, with mode %o", header.Name, header.Uid, header.Gid, header.Mode)
		}
	}
}

// TestImage builds the image, and starts what the manifests start of it, as their user, in an empty
// root: there is nothing but what the image brings.
func TestImage(t *testing.T) {
	needRoot(t)
	t.Parallel()
	source := taggedClone(t, t.TempDir())
	platform := "linux/" + runtime.GOARCH
	first := command(t, source, nil, filepath.Join(source, ".ci", "image"), platform)
	again := command(t, source, []string{"TZ=Asia/Tokyo", "GOFLAGS=-buildvcs=false"}, filepath.Join(source, ".ci", "image"), platform)
	_, digest, found := strings.Cut(first, "sha256:")
	if !found || !strings.HasSuffix(again, digest) {
		t.Errorf("the digest is another the second time: %s, %s", first, again)
	}
	layout, root := t.TempDir(), t.TempDir()
	command(t, layout, nil, "tar", "-xf", filepath.Join(source, "dist", "jobrund_v1.2.3.oci.tar"))
	config := unpackImage(t, layout, root)
	labels := config.Config.Labels
	if labels["org.opencontainers.image.version"] != "v1.2.3" ||
		labels["org.opencontainers.image.revision"]+"\n" != command(t, source, nil, "git", "rev-parse", "HEAD") ||
		labels["org.opencontainers.image.licenses"] != "MIT" || config.Architecture != runtime.GOARCH {
		t.Errorf("the image is %+v", config)
	}
	for _, name := range []string{"etc/ssl/certs/ca-certificates.crt", "zoneinfo.zip", "licenses/THIRD-PARTY-LICENSES"} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Size() < 100_000 {
			t.Errorf("%s: %v", name, err)
		}
	}

	store := postgres.Start(t).NewDatabase(t)
	started := 0
	for _, object := range render(t, "../server/record/kubernetes/deploy") {
		if object.GetKind() != "Deployment" {
			continue
		}
		var deployment appsv1.Deployment
		if err := apiruntime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment); err != nil {
			t.Fatal(err)
		}
		security, container := deployment.Spec.Template.Spec.SecurityContext, deployment.Spec.Template.Spec.Containers[0]
		user := strconv.FormatInt(*security.RunAsUser, 10) + ":" + strconv.FormatInt(*security.RunAsGroup, 10)
		if user != config.Config.User || len(container.Command) > 0 || !strings.HasPrefix(container.Image, "jobrund:") {
			t.Errorf("%s runs %s as %s, the image says %+v", deployment.Name, container.Image, user, config.Config)
		}
		for _, port := range container.Ports {
			if !slices.ContainsFunc(container.Args, func(arg string) bool {
				return strings.HasSuffix(arg, "addr=0.0.0.0:"+strconv.Itoa(int(port.ContainerPort)))
			}) {
				t.Errorf("nothing listens on the port %s of %s", port.Name, deployment.Name)
			}
		}
		if deployment.Name != "serve" {
			continue // it needs a cluster: see TestKubernetesDeployed
		}
		started++
		process := newDaemon(t, store, argsOf(&deployment)...)
		process.process.Path, process.process.Dir = config.Config.Entrypoint[0], "/"
		process.process.Env = append(config.Config.Env, "TZ=Europe/Berlin", "JOBRUND_STORE="+store)
		process.process.SysProcAttr = &syscall.SysProcAttr{
			Chroot:     root,
			Credential: &syscall.Credential{Uid: uint32(*security.RunAsUser), Gid: uint32(*security.RunAsGroup)},
		}
		process.start(t)
		wantProbes(t, &deployment, process)
	}
	if started != 1 {
		t.Errorf("%d servers were started, want 1", started)
	}
}
