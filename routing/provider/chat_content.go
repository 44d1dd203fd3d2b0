package provider

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readContent reads what a message says: a string, or a list of parts. Pieces of
// text that are empty say nothing.
func readContent(f *fields) ([]part, error) {
	var text string
	raw, found := f.left["content"]
	if !found || json.Unmarshal(raw, &text) == nil {
		f.ignore("content")
		if text == "" {
			return nil, nil
		}
		return []part{{text: text}}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, wrong(f.path+"content", "must be a string, or a list of parts")
	}
	f.ignore("content")
	var parts []part
	for i, raw := range list {
		p, err := readPart(fmt.Sprintf("%scontent[%d]", f.path, i), raw)
		if err != nil {
			return nil, err
		}
		if p != (part{}) {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

func readPart(path string, raw json.RawMessage) (part, error) {
	var p part
	f, err := readFields(path, raw)
	if err != nil {
		return p, err
	}
	var kind string
	if _, err := f.take("type", &kind); err != nil {
		return p, err
	}
	switch kind {
	case "text", "refusal":
		_, err = f.take(kind, &p.text)
	case "image_url":
		p, err = readImage(f)
	case "file":
		p, err = readFile(f)
	case "input_audio":
		p, err = readAudio(f)
	default:
		err = wrong(path+".type", "%q is none of text, image_url, file, input_audio and refusal", kind)
	}
	if err != nil {
		return p, err
	}
	return p, f.rest()
}

// readImage reads an image by its URL, which may hold it.
func readImage(f *fields) (part, error) {
	path := f.path + "image_url"
	inner, err := f.inside("image_url")
	if err != nil {
		return part{}, err
	}
	var url string
	if _, err := inner.take("url", &url); err != nil {
		return part{}, err
	}
	inner.unless("detail", `"auto"`)
	if err := inner.rest(); err != nil {
		return part{}, err
	}
	if strings.HasPrefix(url, "data:") {
		media, data, err := readDataURL(path+".url", url)
		return part{media: media, data: data}, err
	}
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		return part{}, wrong(path+".url", "must be an http, https or data URL")
	}
	return part{url: url, media: mediaOf(url)}, nil
}

// readFile reads a file that the request holds, as a PDF.
func readFile(f *fields) (part, error) {
	path := f.path + "file"
	inner, err := f.inside("file")
	if err != nil {
		return part{}, err
	}
	var data string
	found, err := inner.take("file_data", &data)
	if err != nil {
		return part{}, err
	}
	inner.ignore("filename")
	if err := inner.rest(); err != nil { // a file_id is known to one provider alone
		return part{}, err
	}
	if !found {
		return part{}, wrong(path+".file_data", "is missing")
	}
	media, data, err := readDataURL(path+".file_data", data)
	return part{media: media, data: data}, err
}

// readAudio reads sound that the request holds.
func readAudio(f *fields) (part, error) {
	inner, err := f.inside("input_audio")
	if err != nil {
		return part{}, err
	}
	var data, kind string
	if err := inner.takeAll(map[string]any{"data": &data, "format": &kind}); err != nil {
		return part{}, err
	}
	return part{media: "audio/" + kind, data: data}, inner.rest()
}

// inside opens the object of a member.
func (f *fields) inside(name string) (*fields, error) {
	var object json.RawMessage
	if found, _ := f.take(name, &object); !found {
		return nil, wrong(f.path+name, "is missing")
	}
	return readFields(f.path+name, object)
}

// readDataURL takes a data URL in base64 apart.
func readDataURL(path, url string) (media, data string, err error) {
	head, data, found := strings.Cut(strings.TrimPrefix(url, "data:"), ",")
	media, base64 := strings.CutSuffix(head, ";base64")
	if !found || !base64 || !strings.Contains(media, "/") || !strings.HasPrefix(url, "data:") {
		return "", "", wrong(path, "must be a URL as in data:image/png;base64,…")
	}
	media, _, _ = strings.Cut(media, ";") // a charset says nothing of bytes
	return media, data, nil
}

// mediaTypes are those of the files that models take, by the ends of their names.
var mediaTypes = map[string]string{
	"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif", "heic": "image/heic", "heif": "image/heif",
	"pdf": "application/pdf",
}

// mediaOf guesses the media type of what is at a URL; empty: nobody can.
func mediaOf(url string) string {
	path, _, _ := strings.Cut(url, "?")
	path, _, _ = strings.Cut(path, "#")
	end := path[strings.LastIndexAny(path, "./")+1:]
	return mediaTypes[strings.ToLower(end)]
}
