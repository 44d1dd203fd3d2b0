package app

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
)

// setSetting gives a field of a configuration a number, as in "estimator.explore",
// "targets.gpt-5.limits.concurrency" or "strategies.mine.cost".
func setSetting(c *config.Config, setting string, x float64) error {
	return setField(reflect.ValueOf(c).Elem(), strings.Split(setting, "."), setting, x)
}

// setField sets what a path leads to. Entries of lists are found by their names, in which
// there may be dots.
func setField(in reflect.Value, path []string, setting string, x float64) error {
	if len(path) == 0 {
		return setNumber(in, setting, x)
	}
	switch in.Kind() {
	case reflect.Pointer:
		if in.IsNil() {
			in.Set(reflect.New(in.Type().Elem()))
		}
		return setField(in.Elem(), path, setting, x)
	case reflect.Struct:
		fields := config.FieldsOf(in.Type())
		at, known := fields.Index[path[0]]
		if !known {
			return fmt.Errorf("%s: there is no setting %q; %s", setting, path[0], jobs.DidYouMean(path[0], fields.Names))
		}
		return setField(in.Field(at), path[1:], setting, x)
	case reflect.Slice:
		return setNamed(in, path, setting, x)
	case reflect.Map:
		return setMember(in, path, setting, x)
	}
	return fmt.Errorf("%s: nothing is below %s", setting, path[0])
}

func setNamed(in reflect.Value, path []string, setting string, x float64) error {
	var names []string
	for i := range in.Len() {
		entry := in.Index(i)
		if entry.Kind() != reflect.Struct || !entry.FieldByName("Name").IsValid() {
			break
		}
		name := entry.FieldByName("Name").String()
		if rest, is := pathBelow(path, name); is {
			return setField(entry, rest, setting, x)
		}
		names = append(names, name)
	}
	return fmt.Errorf("%s: there is no %q; %s", setting, path[0], jobs.DidYouMean(path[0], names))
}

func setMember(in reflect.Value, path []string, setting string, x float64) error {
	var names []string
	for _, key := range in.MapKeys() {
		rest, is := pathBelow(path, key.String())
		if !is {
			names = append(names, key.String())
			continue
		}
		value := reflect.New(in.Type().Elem()).Elem()
		value.Set(in.MapIndex(key))
		if err := setField(value, rest, setting, x); err != nil {
			return err
		}
		in.SetMapIndex(key, value)
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%s: there is no %q; %s", setting, path[0], jobs.DidYouMean(path[0], names))
}

// pathBelow is what of a path comes after a name that it begins with.
func pathBelow(path []string, name string) (rest []string, is bool) {
	n := strings.Count(name, ".") + 1
	if len(path) > n && strings.Join(path[:n], ".") == name {
		return path[n:], true
	}
	return nil, false
}

func setNumber(in reflect.Value, setting string, x float64) error {
	switch {
	case in.Type() == reflect.TypeFor[time.Duration]():
		in.SetInt(int64(x * float64(time.Second)))
	case in.Kind() == reflect.Pointer && in.Type().Elem().Kind() == reflect.Float64:
		in.Set(reflect.New(in.Type().Elem()))
		in.Elem().SetFloat(x)
	case in.CanFloat():
		in.SetFloat(x)
	case in.CanInt() && x == math.Trunc(x):
		in.SetInt(int64(x))
	case in.CanInt():
		return fmt.Errorf("%s: %v is not a whole number", setting, x)
	default:
		return fmt.Errorf("%s: is not a number, so that it cannot be swept", setting)
	}
	return nil
}
