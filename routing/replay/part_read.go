package replay

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	"tidegate/jobs"
)

// ReadPartHead reads the head of a file.
func ReadPartHead(from io.Reader) (PartHead, error) {
	r := partReader{from: from, left: mostHead}
	h := r.head()
	return h.PartHead, r.err
}

// ReadPart reads a file of so many bytes.
func ReadPart(from io.Reader, size int64) (*Part, error) {
	sum := crc32.New(castagnoli)
	r := partReader{from: bufio.NewReaderSize(io.TeeReader(io.LimitReader(from, size-crc32.Size), sum), 1<<16), left: size - crc32.Size}
	h := r.head()
	if r.err != nil {
		return nil, r.err
	}
	if h.size() != r.left {
		return nil, ErrPart
	}
	p := r.columns(&h)
	if r.err == nil && !matches(from, sum) || r.err == nil && !p.sound() {
		return nil, ErrPart
	}
	return p, r.err
}

// matches tells whether the checksum at the end is that of what was read.
func matches(from io.Reader, sum hash.Hash32) bool {
	var end [crc32.Size]byte
	_, err := io.ReadFull(from, end[:])
	return err == nil && binary.LittleEndian.Uint32(end[:]) == sum.Sum32()
}

// size is how many bytes there are behind the head.
func (h *partHead) size() int64 {
	const perRequest, perAttempt, perUsage, perOpen = 4 + 2, 4*4 + 2*2 + 2, 4 + 4*8, 8 + 4
	size := int64(h.Requests)*perRequest + int64(h.Attempts)*perAttempt + int64(h.Usages)*perUsage + int64(h.Open)*perOpen
	for _, n := range h.Columns {
		size += int64(n) * 4
	}
	return size
}

type partReader struct {
	from io.Reader
	left int64
	err  error
	buf  []byte
}

// head reads the first part of a file. It allocates no more than is there.
func (r *partReader) head() (h partHead) {
	if magic := r.bytes(len(partMagic)); string(magic) != partMagic {
		r.err = ErrPart
		return h
	}
	n := int64(r.numbers4(1)[0])
	if r.err != nil || n > min(r.left, mostHead) {
		r.err = ErrPart
		return h
	}
	if err := json.Unmarshal(r.bytes(int(n)), &h); r.err != nil || err != nil || len(h.Columns) != len((&Log{}).short()) ||
		min(h.Requests, h.Attempts, h.Usages, h.Open, slices.Min(h.Columns)) < 0 || max(h.Requests, h.Attempts, slices.Max(h.Columns)) >= mostRecords {
		r.err = ErrPart
	}
	return h
}

// bytes are the next ones, until it is called again.
func (r *partReader) bytes(n int) []byte {
	r.buf = slices.Grow(r.buf[:0], n)[:n]
	if r.err != nil {
		return r.buf
	}
	if _, err := io.ReadFull(r.from, r.buf); err != nil {
		r.err = ErrPart
	}
	r.left -= int64(n)
	return r.buf
}

// chunk is how many numbers are read at a time.
const chunk = 1 << 14

func (r *partReader) numbers4(n int) []uint32 {
	if n == 0 {
		return nil
	}
	of := make([]uint32, n)
	for i := 0; i < n; i += chunk {
		part := of[i:min(i+chunk, n)]
		raw := r.bytes(4 * len(part))
		for k := range part {
			part[k] = binary.LittleEndian.Uint32(raw[4*k:])
		}
	}
	return of
}

func (r *partReader) numbers2(n int) []uint16 {
	of := make([]uint16, n)
	for i := 0; i < n; i += chunk {
		part := of[i:min(i+chunk, n)]
		raw := r.bytes(2 * len(part))
		for k := range part {
			part[k] = binary.LittleEndian.Uint16(raw[2*k:])
		}
	}
	return of
}

func (r *partReader) columns(h *partHead) *Part {
	l := &Log{start: h.Start, targets: h.Targets}
	p := &Part{log: l, open: make(map[uint64]uint32, h.Open), wrong: wrong{early: h.Early, capped: h.Capped}}
	for _, k := range h.Kinds {
		l.names.kinds = append(l.names.kinds, kind{k.Route, k.Tenant, k.Goal, k.Endpoint})
	}
	q, a := &l.requests, &l.attempts
	q.at, a.at, a.request, a.latency, a.cost = r.numbers4(h.Requests), r.numbers4(h.Attempts), r.numbers4(h.Attempts), r.numbers4(h.Attempts), r.numbers4(h.Attempts)
	for i, c := range l.short() {
		*c = r.numbers4(h.Columns[i])
	}
	q.kind, a.target, a.propensity = r.numbers2(h.Requests), r.numbers2(h.Attempts), r.numbers2(h.Attempts)
	a.class, a.flags = slices.Clone(r.bytes(h.Attempts)), slices.Clone(r.bytes(h.Attempts))
	a.usages = make(map[uint32]jobs.Usage, h.Usages)
	for range h.Usages {
		raw := r.bytes(4 + 4*8)
		whole := func(i int) int { return int(binary.LittleEndian.Uint64(raw[4+8*i:])) }
		a.usages[binary.LittleEndian.Uint32(raw)] = jobs.Usage{Input: whole(0), CachedInput: whole(1), Output: whole(2), Reasoning: whole(3)}
	}
	for range h.Open {
		raw := r.bytes(8 + 4)
		p.open[binary.LittleEndian.Uint64(raw)] = binary.LittleEndian.Uint32(raw[8:])
	}
	return p
}

// sound tells whether every place and number that it names is there.
func (p *Part) sound() bool {
	l := p.log
	n := uint32(len(l.requests.at))
	for _, k := range l.requests.kind {
		if int(k) >= len(l.names.kinds) {
			return false
		}
	}
	for i, request := range l.attempts.request {
		if request >= n && request != noRequest || int(l.attempts.target[i]) >= len(l.targets) || int(l.attempts.class[i]) >= len(classes) {
			return false
		}
	}
	for _, place := range p.open {
		if place >= n {
			return false
		}
	}
	return true
}
