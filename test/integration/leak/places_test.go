package leak

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// search is one look at everything.
type search struct {
	scanner *scanner
	secrets map[string]secret
	// places looked at, by kind.
	places map[string]int
	// found are "<place>: <secret>"; homes are secrets found where they belong.
	found, homes []string
}

func look(ctx context.Context) *search {
	GinkgoHelper()
	known.mu.Lock()
	defer known.mu.Unlock()
	s := &search{scanner: newScanner(known.secrets), secrets: known.secrets, places: map[string]int{}}
	s.files("etcd file", filepath.Join(world.Cluster.Dir(), "etcd"), true)
	s.files("log", filepath.Join(world.Cluster.Dir(), "logs"), false)
	for _, o := range operators {
		s.file("log", o.Log, false)
	}
	s.file("audit log", auditLog, false)
	s.etcd(ctx)
	s.objects(ctx)
	s.metrics(ctx)
	s.processes()
	return s
}

// at looks at one place. A secret that belongs there is noted as that.
func (s *search) at(kind, place string, data []byte, home func(secret) bool) {
	s.places[kind]++
	for _, name := range s.scanner.find(data) {
		if home != nil && home(s.secrets[name]) {
			s.homes = append(s.homes, kind+" "+place+": "+name)
		} else {
			s.found = append(s.found, kind+" "+place+": "+name)
		}
	}
}

func (s *search) total() int {
	n := 0
	for _, k := range s.places {
		n += k
	}
	return n
}

// files looks at all files below a directory. Those of etcd hold the Secrets with software keys: whether these stand
// nowhere else is told by etcd and objects, key by key.
func (s *search) files(kind, root string, software bool) {
	GinkgoHelper()
	Expect(filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			s.file(kind, path, software)
		}
		return err
	})).To(Succeed())
}

func (s *search) file(kind, path string, software bool) {
	GinkgoHelper()
	data, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	home := func(sec secret) bool { return software && sec.home != "" }
	s.at(kind, filepath.Base(path), data, home)
	if kind == "log" {
		s.at("dump in a log", filepath.Base(path), undump(data), home)
	}
}

func (s *search) etcd(ctx context.Context) {
	GinkgoHelper()
	stored, err := world.Cluster.Stored(ctx, "/registry/")
	Expect(err).NotTo(HaveOccurred())
	for key, value := range stored {
		s.at("etcd value", key, value, func(sec secret) bool { return sec.home == key })
	}
}

// objects looks at every object of every kind as the API server shows it, managed fields and all. What Secrets hold is
// looked at decoded, too: a key in the JSON of a keyset would be encoded twice.
func (s *search) objects(ctx context.Context) {
	GinkgoHelper()
	config := world.Cluster.Config()
	config.QPS = -1
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	objects, err := dynamic.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	_, lists, err := disco.ServerGroupsAndResources()
	Expect(err).NotTo(HaveOccurred())
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		Expect(err).NotTo(HaveOccurred())
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") {
				continue
			}
			items, err := objects.Resource(version.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			Expect(err).NotTo(HaveOccurred(), "%s %s", version, r.Name)
			for _, item := range items.Items {
				s.object(r.Name, item)
			}
		}
	}
}

func (s *search) object(resource string, o unstructured.Unstructured) {
	GinkgoHelper()
	place := resource + " " + o.GetNamespace() + "/" + o.GetName()
	home := func(sec secret) bool { return sec.home == "/registry/"+resource+"/"+o.GetNamespace()+"/"+o.GetName() }
	text, err := json.Marshal(o.Object)
	Expect(err).NotTo(HaveOccurred())
	s.at("object", place, text, home)
	if o.GetKind() != "Secret" {
		return
	}
	var decoded struct{ Data map[string][]byte }
	Expect(json.Unmarshal(text, &decoded)).To(Succeed())
	for key, value := range decoded.Data {
		s.at("secret value", place+" "+key, value, home)
	}
}

func (s *search) metrics(ctx context.Context) {
	GinkgoHelper()
	own, err := world.Metrics(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(own).To(ContainSubstring("controller_runtime_reconcile_total"))
	s.at("metrics", "operator", []byte(own), nil)
	disco, err := discovery.NewDiscoveryClientForConfig(world.Cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	text, err := disco.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	s.at("metrics", cluster.APIServer, text, nil)
}

func (s *search) processes() {
	GinkgoHelper()
	pids := world.Cluster.PIDs()
	pids["operator"] = world.Running.PID()
	Expect(len(pids)).To(BeNumerically(">=", 4))
	for name, pid := range pids {
		for _, file := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			Expect(err).NotTo(HaveOccurred())
			s.at("process", name+" "+file, data, nil)
		}
	}
}
