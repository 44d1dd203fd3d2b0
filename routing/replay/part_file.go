package replay

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"tidegate/jobs"
)

// A file of a Part:
//
//	tgpart1\n   length of the head, 4 bytes   the head, JSON   columns, one after the other   checksum, 4 bytes
//
// Numbers are little-endian. The checksum, CRC-32C, is of all before it. Whatever does
// not fit is no such file: it can be made again.
const (
	partMagic = "tgpart1\n"
	// mostHead bounds the head, which is read before the checksum is known.
	mostHead = 64 << 20
)

// ErrPart says that a file is none of a Part, or is damaged.
var ErrPart = errors.New("it is no recorded traffic, or is damaged")

// partHead is the head of a file.
type partHead struct {
	PartHead
	Start         time.Time
	Kinds         []partKind
	Targets       []string
	Early, Capped int
	Columns       []int // how many numbers each of those has that may be short
	Usages, Open  int
}

type partKind struct {
	Route, Tenant, Goal string
	Endpoint            jobs.Endpoint
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// short are the columns that may be shorter than there are records.
func (l *Log) short() []*[]uint32 {
	r, a := &l.requests, &l.attempts
	return []*[]uint32{&r.deadline.of, &r.most.of, &r.body.of, &r.input.of, &r.output.of, &r.cached.of, &r.reasoning.of, &a.first.of}
}

// Write writes a file of it, of what it was made of.
func (p *Part) Write(to io.Writer, of string) error {
	l := p.log
	h := partHead{PartHead: p.Head(), Start: l.start, Targets: l.targets, Early: p.early, Capped: p.capped, Usages: len(l.attempts.usages), Open: len(p.open)}
	h.Of = of
	for _, k := range l.names.kinds {
		h.Kinds = append(h.Kinds, partKind{k.route, k.tenant, k.goal, k.endpoint})
	}
	for _, c := range l.short() {
		h.Columns = append(h.Columns, len(*c))
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	sum := crc32.New(castagnoli)
	buffered := bufio.NewWriterSize(io.MultiWriter(to, sum), 1<<16)
	w := partWriter{to: buffered}
	w.bytes([]byte(partMagic))
	w.number(uint64(len(head)), 4)
	w.bytes(head)
	w.columns(p)
	if err := errors.Join(w.err, buffered.Flush()); err != nil {
		return err
	}
	_, err = to.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

type partWriter struct {
	to  *bufio.Writer
	err error
}

func (w *partWriter) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.to.Write(b)
	}
}

func (w *partWriter) number(n uint64, bytes int) {
	w.bytes(binary.LittleEndian.AppendUint64(w.to.AvailableBuffer(), n)[:bytes])
}

func (w *partWriter) columns(p *Part) {
	r, a := &p.log.requests, &p.log.attempts
	for _, c := range append([]*[]uint32{&r.at, &a.at, &a.request, &a.latency, &a.cost}, p.log.short()...) {
		for _, n := range *c {
			w.number(uint64(n), 4)
		}
	}
	for _, c := range [][]uint16{r.kind, a.target, a.propensity} {
		for _, n := range c {
			w.number(uint64(n), 2)
		}
	}
	w.bytes(a.class)
	w.bytes(a.flags)
	for i, u := range byKey(a.usages) {
		w.number(uint64(i), 4)
		for _, n := range []int{u.Input, u.CachedInput, u.Output, u.Reasoning} {
			w.number(uint64(n), 8)
		}
	}
	for key, place := range byKey(p.open) {
		w.number(key, 8)
		w.number(uint64(place), 4)
	}
}

// byKey goes through a map in the order of its keys: the same part makes the same file.
func byKey[K uint32 | uint64, V any](of map[K]V) func(func(K, V) bool) {
	keys := make([]K, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return func(yield func(K, V) bool) {
		for _, key := range keys {
			if !yield(key, of[key]) {
				return
			}
		}
	}
}
