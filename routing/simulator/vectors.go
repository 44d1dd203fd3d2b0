package simulator

import (
	"encoding/base64"
	"encoding/binary"
	"math"
)

const (
	// usualDimensions are those of a vector where nobody says.
	usualDimensions = 256
	maxDimensions   = 4096
	// probesOfWord is how many places of a vector a word counts in.
	probesOfWord = 8
)

// vectorOf makes the vector of a text: of length one, always the same, and near that of
// a text with mostly the same words.
func vectorOf(text string, dimensions int) []float32 {
	v := make([]float64, dimensions)
	hash, length := wordSeed, 0
	for i := range len(text) + 1 {
		var b byte
		if i < len(text) {
			b = text[i]
		}
		switch {
		case b >= 'A' && b <= 'Z':
			b += 'a' - 'A'
		case b >= 0x80 || isWordByte(b):
		default:
			if length > 0 {
				addWord(v, hash)
			}
			hash, length = wordSeed, 0
			continue
		}
		hash = addByte(hash, b)
		length++
	}
	return unit(v, hashOf(text))
}

// vectorOfTokens is vectorOf for a text in tokens.
func vectorOfTokens(text []int, dimensions int) []float32 {
	v := make([]float64, dimensions)
	for _, token := range text {
		addWord(v, uint32(token)*2654435761)
	}
	return unit(v, uint64(len(text)))
}

// addWord counts a word, up or down, in some places.
func addWord(v []float64, hash uint32) {
	state := uint64(hash)<<1 | 1
	for range probesOfWord {
		state = state*6364136223846793005 + 1442695040888963407
		at := state >> 33 % uint64(len(v))
		if state>>63 == 0 {
			v[at]++
		} else {
			v[at]--
		}
	}
}

// unit is a vector at length one. One of nothing gets a direction all the same.
func unit(v []float64, otherwise uint64) []float32 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	if sum == 0 {
		v[otherwise%uint64(len(v))], sum = 1, 1
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(sum))
	}
	return out
}

// inBase64 is a vector as the vendor packs it: little-endian floats.
func inBase64(v []float32) string {
	packed := make([]byte, 0, 4*len(v))
	for _, x := range v {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(packed)
}
