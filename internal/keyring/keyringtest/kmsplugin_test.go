package keyringtest

import (
	"net"
	"os"
	"testing"
)

func TestKMSPlugin(t *testing.T) {
	p := StartKMSPlugin(t)
	first := p.KeyID
	p.Rotate(t)
	if p.KeyID == "" || p.KeyID == first {
		t.Errorf("rotated from key %q to %q", first, p.KeyID)
	}
	second := p.KeyID
	p.Stop(t)
	if conn, err := net.Dial("unix", p.Socket); err == nil {
		_ = conn.Close()
		t.Error("a stopped plugin took a connection")
	}
	p.Resume(t)
	if p.KeyID != second {
		t.Errorf("key %q after a restart; expected %q, as before", p.KeyID, second)
	}
	if conn, err := net.Dial("unix", p.Socket); err != nil {
		t.Error(err)
	} else {
		_ = conn.Close()
	}
}

func TestKMSPluginLeavesNothing(t *testing.T) {
	var p *KMSPlugin
	t.Run("inner", func(t *testing.T) { p = StartKMSPlugin(t) })
	if _, err := os.Stat(p.Socket); !os.IsNotExist(err) || p.cmd != nil {
		t.Errorf("socket %v, process %v; expected both gone with the test", err, p.cmd)
	}
}
