package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

const (
	tokenLabel = "kms-plugin"
	// keyLabel and a serial number are the label of a key object: the highest is the newest.
	keyLabel = "kms-plugin-key-"
	// keySize in bytes: AES-256.
	keySize = 32
	tagBits = 128
	// pin opens a token that holds keys of tests only.
	pin = "1234"
)

// key is one key object. Its id is random and the object's CKA_ID; the key itself stays on the token.
type key struct {
	id     string
	label  string
	handle pkcs11.ObjectHandle
}

// token is an open PKCS#11 token. A session takes one operation at a time.
type token struct {
	mu      sync.Mutex
	ctx     *pkcs11.Ctx
	session pkcs11.SessionHandle
	keys    []key // sorted by age
}

// openToken opens the token of a directory. A new one is initialised and gets its first key.
func openToken(module, dir string) (*token, error) {
	if err := configure(dir); err != nil {
		return nil, err
	}
	ctx := pkcs11.New(module)
	if ctx == nil {
		return nil, fmt.Errorf("cannot load %s: is softhsm2 installed?", module)
	}
	if err := ctx.Initialize(); err != nil {
		return nil, fmt.Errorf("initialising %s: %w", module, err)
	}
	t := &token{ctx: ctx}
	slot, err := t.slot()
	if err != nil {
		return nil, err
	}
	if t.session, err = ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
		return nil, err
	}
	if err := ctx.Login(t.session, pkcs11.CKU_USER, pin); err != nil {
		return nil, err
	}
	if err := t.load(); err != nil {
		return nil, err
	}
	if len(t.keys) == 0 {
		_, err = t.generate()
	}
	return t, err
}

// configure makes the directory and tells SoftHSM2 to keep its tokens there.
func configure(dir string) error {
	tokens := filepath.Join(dir, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return err
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	text := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Setenv("SOFTHSM2_CONF", conf)
}

// slot returns the slot of the token, after initialising one if there is none yet.
func (t *token) slot() (uint, error) {
	slots, err := t.ctx.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, s := range slots {
		if info, err := t.ctx.GetTokenInfo(s); err == nil && info.Label == tokenLabel {
			return s, nil
		}
	}
	if len(slots) != 1 {
		return 0, fmt.Errorf("found %d slots and no token %s; expected one free slot", len(slots), tokenLabel)
	}
	if err := t.ctx.InitToken(slots[0], pin, tokenLabel); err != nil {
		return 0, err
	}
	session, err := t.ctx.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return 0, err
	}
	defer func() { _ = t.ctx.CloseSession(session) }()
	if err := t.ctx.Login(session, pkcs11.CKU_SO, pin); err != nil {
		return 0, err
	}
	defer func() { _ = t.ctx.Logout(session) }()
	return slots[0], t.ctx.InitPIN(session, pin)
}

// load reads which keys the token has.
func (t *token) load() error {
	err := t.ctx.FindObjectsInit(t.session, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY)})
	if err != nil {
		return err
	}
	handles, _, err := t.ctx.FindObjects(t.session, 1000)
	if err := errors.Join(err, t.ctx.FindObjectsFinal(t.session)); err != nil {
		return err
	}
	for _, h := range handles {
		found, err := t.ctx.GetAttributeValue(t.session, h, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_ID, nil), pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil),
		})
		if err != nil {
			return err
		}
		t.keys = append(t.keys, key{id: hex.EncodeToString(found[0].Value), label: string(found[1].Value), handle: h})
	}
	slices.SortFunc(t.keys, func(a, b key) int { return strings.Compare(a.label, b.label) })
	return nil
}

// generate makes a key on the token that cannot be read out of it. It is the newest from now on.
func (t *token) generate() (key, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	k := key{id: hex.EncodeToString(id), label: fmt.Sprintf("%s%06d", keyLabel, len(t.keys)+1)}
	var err error
	k.handle, err = t.ctx.GenerateKey(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.label),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, keySize),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	})
	if err != nil {
		return key{}, fmt.Errorf("making a key: %w", err)
	}
	t.keys = append(t.keys, k)
	return k, nil
}

func (t *token) newest() key {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys[len(t.keys)-1]
}

func (t *token) find(id string) (key, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.keys, func(k key) bool { return k.id == id })
	if i < 0 {
		return key{}, false
	}
	return t.keys[i], true
}

func (t *token) encrypt(k key, nonce, data []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	params := pkcs11.NewGCMParams(nonce, nil, tagBits)
	defer params.Free()
	if err := t.ctx.EncryptInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, k.handle); err != nil {
		return nil, err
	}
	return t.ctx.Encrypt(t.session, data)
}

func (t *token) decrypt(k key, nonce, ciphertext []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	params := pkcs11.NewGCMParams(nonce, nil, tagBits)
	defer params.Free()
	if err := t.ctx.DecryptInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, k.handle); err != nil {
		return nil, err
	}
	return t.ctx.Decrypt(t.session, ciphertext)
}

func (t *token) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.ctx.Finalize()
	t.ctx.Destroy()
}
